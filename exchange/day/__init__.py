"""A trading day played over HTTP: who comes, what is planted, what must come of it, and what came of it."""
