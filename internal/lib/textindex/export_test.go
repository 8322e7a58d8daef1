package textindex

// Checksum is what a manifest begins with.
var Checksum = checksum
