package mfm

// Steps is the work of parsing a text, counted.
func Steps(text string) int {
	steps := 0
	newParser(text, 0, NestLimit, &steps).full()
	return steps
}
