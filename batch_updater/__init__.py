"""Apply every row of a spreadsheet to a REST API by PUT, without losing track of a row."""
