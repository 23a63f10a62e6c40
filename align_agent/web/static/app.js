// What pages do besides what plain HTML does. Everything works without it.
"use strict";
