package sqlite

// ShiftOf is shiftOf.
var ShiftOf = shiftOf
