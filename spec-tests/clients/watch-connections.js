// Runs in each frame before its scripts, for the statistics of Element Call's connections.
const connections = []
/** Of received tracks: LiveKit names the stream after the participant, as `PA_…|…`. */
const owners = new Map()

const Original = globalThis.RTCPeerConnection
globalThis.RTCPeerConnection = class extends Original {
  constructor(...options) {
    super(...options)
    connections.push(this)
    this.addEventListener('track', ({ track, streams }) => owners.set(track.id, streams[0]?.id.split('|')[0]))
  }
}

/** Sums up the statistics of received tracks by participant. */
async function receivedByOwner() {
  const received = new Map()
  for (const connection of connections) {
    for (const report of (await connection.getStats()).values()) {
      if (report.type !== 'inbound-rtp') continue
      const owner = owners.get(report.trackIdentifier)
      const { framesDecoded, audioEnergy } = received.get(owner) ?? { framesDecoded: 0, audioEnergy: 0 }
      received.set(owner, {
        framesDecoded: framesDecoded + (report.framesDecoded ?? 0),
        audioEnergy: audioEnergy + (report.totalAudioEnergy ?? 0),
      })
    }
  }
  return received
}

/** Returns what has come from each participant whose picture is shown, by the name on their tile. */
globalThis.receivedMedia = async () => {
  const received = await receivedByOwner()
  const tiles = [...document.querySelectorAll('[data-testid=videoTile]')].map((tile) => {
    const [track] = tile.querySelector('video')?.srcObject?.getVideoTracks() ?? []
    return [tile.querySelector('[data-testid=name_tag]')?.textContent, received.get(owners.get(track?.id))]
  })
  return Object.fromEntries(tiles.filter(([, media]) => media))
}
