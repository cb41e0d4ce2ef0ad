"""Every door to the outside: HTTP, its access, its errors, its pages. Refusals become answers here and only here."""
