//go:build race

package websocket

// dropped is how many buffers a pool may have lost in between: under the race detector it
// drops some by chance.
const dropped = 8
