package textindex

// Checksum is what a manifest begins with.
var Checksum = checksum

// Still runs f while no change reaches the disk but of files that nothing names yet: what
// the directory has then is what a crash leaves.
func (x *Index) Still(f func()) {
	x.w.Lock()
	defer x.w.Unlock()
	f()
}
