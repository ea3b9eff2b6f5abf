// Package manpage writes manual pages in the language of man(7): of paragraphs, lists,
// options and examples, as texts of commands and doc comments have them.
//
// A text is read as a doc comment of Go is: an empty line parts paragraphs, indented
// lines are shown as they are, and lines that begin with a dash or a number and are
// indented make a list. What roff would take for its own is escaped, and the same page
// is always written with the same bytes, so that a release can be made again.
package manpage
