import { route } from '../../http/route.ts'

/** The newest version 1.x whose mandatory parts are all implemented. */
const NEWEST_MINOR = 17

/** Without gaps: clients look for any of them. */
const SPEC_VERSIONS = [
  ...['r0.0.1', 'r0.1.0', 'r0.2.0', 'r0.3.0', 'r0.4.0', 'r0.5.0', 'r0.6.0', 'r0.6.1'],
  ...Array.from({ length: NEWEST_MINOR }, (_, index) => `v1.${index + 1}`),
]

/** Features beyond the specification that every configuration has, under the names that clients look for. */
const UNSTABLE_FEATURES = {
  'uk.tcpip.msc4133': true,
  'uk.tcpip.msc4133.stable': true,
  'org.matrix.msc3391': true,
  'org.matrix.msc2285.stable': true,
  'org.matrix.msc3440.stable': true,
  'org.matrix.msc3827.stable': true,
  'org.matrix.msc3916.stable': true,
  'org.matrix.msc3981': true,
  'org.matrix.msc4108': true,
  'io.element.msc4388': true,
  'org.matrix.msc4155': true,
  'org.matrix.msc4380.stable': true,
  'org.matrix.msc4222': true,
  'org.matrix.simplified_msc3575': true,
  'hearth.sliding_sync_websocket': true,
  'org.matrix.msc4306': true,
  'org.matrix.msc4354': true,
  'org.matrix.msc4429': true,
  'org.matrix.msc4262': true,
  'com.beeper.msc4169': true,
  'org.matrix.msc3874': true,
  'org.matrix.msc3912': true,
  'fi.mau.msc2246.stable': true,
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
  'org.matrix.msc4151': true,
  'org.matrix.msc4260.stable': true,
  'uk.timedout.msc4323': true,
  'uk.timedout.msc4323.stable': true,
} as const

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions */
export const getVersions = route({
  method: 'GET',
  path: '/_matrix/client/versions',
  auth: 'optional',
  handle: (_call, { config }) => ({
    versions: SPEC_VERSIONS,
    // Element Call ends calls if delayed events are announced, but refused.
    unstable_features: { ...UNSTABLE_FEATURES, 'org.matrix.msc4140': config.delayed_events.max_delay > 0 },
  }),
})
