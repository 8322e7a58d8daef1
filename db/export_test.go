package db

// Unhurried is unhurried, for tests.
var Unhurried = unhurried
