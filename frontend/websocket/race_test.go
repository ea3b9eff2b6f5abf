//go:build race

package websocket

// dropped is how many buffers a pool may have lost in between: under the race detector it
// drops some by chance.
const dropped = 8

// browsersAtOnce is how many are held: the race detector takes 50 KB for each.
const browsersAtOnce = 5_000
