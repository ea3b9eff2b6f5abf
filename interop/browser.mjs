// One client of npm's bittorrent-tracker over WebSocket, for waggle's interop tests: what
// WebTorrent has in every browser, with real offers and answers.
//
//   node browser.mjs URL INFO_HASH PEER_ID
//
// Each line of standard input is one request, as for announce.mjs. What happens is printed,
// a line of JSON each:
//
//   {"event": "update", "complete": .., "incomplete": .., "interval": ..}    a reply
//   {"event": "scrape", "complete": .., "incomplete": .., "downloaded": ..}  a reply
//   {"event": "peer", "id": ..}                 has sent an offer, or answered one
//   {"event": "word", "id": ..}                 has sent its own id over WebRTC
//   {"event": "warning", "message": ..}

import { createInterface } from 'node:readline'
import { Client } from 'bittorrent-tracker'
import WebSocketTracker from 'bittorrent-tracker/websocket-tracker'

// WebRTC for Node does not say when it has all candidates, and the client would wait five
// seconds for each offer. Those of this machine are there at once.
const createPeer = WebSocketTracker.prototype._createPeer
WebSocketTracker.prototype._createPeer = function (options) {
  return createPeer.call(this, { iceCompleteTimeout: 200, ...options })
}

// After the end of a connection the client waits ten seconds, and up to five minutes more
// by chance. There is no chance here.
Math.random = () => 0

const [announce, infoHash, peerId] = process.argv.slice(2)
// No server of STUN: nothing is sent to anyone but the tracker and peers.
const client = new Client({ announce, infoHash, peerId, port: 1, rtcConfig: { iceServers: [] } })

const tell = (event, what) => console.log(JSON.stringify({ event, ...what }))

client.on('update', ({ complete, incomplete, interval }) => tell('update', { complete, incomplete, interval }))
client.on('scrape', ({ complete, incomplete, downloaded }) => tell('scrape', { complete, incomplete, downloaded }))
client.on('warning', (err) => tell('warning', { message: err.message }))
client.on('error', (err) => tell('warning', { message: err.message }))
client.on('peer', (peer) => {
  tell('peer', { id: peer.id })
  peer.on('connect', () => peer.send(peerId))
  peer.on('data', (data) => tell('word', { id: Buffer.from(data).toString() }))
  peer.on('error', () => {}) // whether peers reach each other is another matter
})

const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  const { do: request, ...options } = JSON.parse(line)
  client[request](options)
})
input.on('close', () => client.destroy(() => process.exit(0)))
