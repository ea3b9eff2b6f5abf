//go:build !race

package websocket

// dropped is how many buffers a pool may have lost in between.
const dropped = 0

// browsersAtOnce is how many are held.
const browsersAtOnce = 50_000
