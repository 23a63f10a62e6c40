"""Does it learn a person, how soon, and at what price? Eight methods, seven kinds of hidden user.

`make bench-personalization`. `users` are the people, `play` one life of one of them with one
method, `methods` and `peers` what learns, `results` the file of finished lives, `report` the table
and the picture.
"""
