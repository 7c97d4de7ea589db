import type { App } from '../../../app.ts'
import { askIdentityOnBehalf, askOnBehalf } from '../../../infra/federation/asked-federation.ts'
import type { Asker } from '../../../infra/federation/asked-lanes.ts'

/**
 * The app for serving a request: whatever the request leads to at other servers is done in the lane of whoever makes
 * it. What goes on after the request is for `own`.
 */
export function onBehalfOf(app: App, asker: Asker): App {
  return {
    ...app,
    own: app,
    asker,
    // Made for those who ask: few do.
    get federation() {
      return askOnBehalf(app.federation, app.lanes, asker)
    },
    get identity() {
      return askIdentityOnBehalf(app.identity, app.lanes, asker)
    },
    get keyRing() {
      return app.keyRing.onBehalfOf(asker)
    },
  }
}
