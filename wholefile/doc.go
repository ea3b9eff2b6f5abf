// Package wholefile puts small files in the place of others, whole or not at all, also where the
// process is killed or the machine loses power meanwhile.
//
//	wholefile.Clean(path) // at the start: what a kill has left
//	err := wholefile.Write(path, b)
package wholefile
