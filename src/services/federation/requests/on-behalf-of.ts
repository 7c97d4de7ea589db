import type { App } from '../../../app.ts'
import { askIdentityOnBehalf, askOnBehalf } from '../../../infra/federation/asked-federation.ts'
import type { Asker } from '../../../infra/federation/asked-lanes.ts'

/**
 * Returns the app for serving a request: its requests to other servers run in the lane of `asker`. The components of
 * the process, such as the inbox, do not: they were built with the app of the process.
 */
export function onBehalfOf(app: App, asker: Asker): App {
  return {
    ...app,
    asker,
    // Created lazily, since few requests need it.
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
