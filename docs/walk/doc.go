// Package walk walks through the manual as a newcomer does: it runs the commands of README.md
// and of each page in docs, and compares what they print with what the page says.
//
//	go test -tags long -run Manual -v ./docs/walk                   # all pages; takes root
//	go test -tags long -run Manual/first-transfer -v ./docs/walk    # one; README is the one above docs
//
// WALK_WAGGLE names, by its whole path, another binary than one that is built from the checkout.
//
// # How a page runs
//
// All blocks of a page that are marked sh run in one bash, from top to bottom, so that variables,
// folders and jobs live on, with set -e -o pipefail. It has a fresh folder to work in, which is
// its home too, and namespaces of its own: of the network, with nothing in it but loopback, so
// that all ports are free and nothing is told to anybody; of mounts; and of processes, so that
// whatever was started ends with the page, and pidof sees nothing else. It is root there. waggle
// is on the PATH, built from this checkout as a release is.
//
// What a page may use beyond waggle, bash and the usual programs is in the Makefile's TEST_TOOLS
// and LONG_TOOLS.
//
// # How a page is written
//
//   - A command that goes on, such as waggle serve, ends its line with an ampersand. What it prints
//     is not compared; it is shown where the page fails. Its process is $!, and what waits for it names
//     that: bash forgets %1 once it has ended. "waggle health --wait 10s" waits for a tracker,
//     here for two minutes.
//   - A block that is marked text is what the sh block above it prints, standard output and error
//     together. Nothing may stand between them but a line that ends in "prints:". An … stands for
//     anything within a line, a line of … alone for any lines, none included; blanks are as good as
//     one. Where there is no such block, anything may be printed. Whatever else looks like text is in a block without a mark.
//   - <!-- fails --> above a sh block: its last command fails, as the page means to show.
//   - <!-- not run here: REASON --> above a sh block: it needs what is not here, such as AWS. The test
//     tells their number and the reasons; bash only looks whether it could read them.
//   - A block that is marked yaml is a configuration, and package cmd/waggle checks it, unless
//     <!-- not waggle's configuration --> stands above it, or <!-- of locality.sources --> and the like:
//     then it is the value of that key.
package walk
