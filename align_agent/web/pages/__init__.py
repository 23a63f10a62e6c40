"""One module a page: what it shows, as plain data that its template and its JSON twin share."""
