import { defaultConfig } from '../config.ts'
import type { ServerName } from '../core/ids.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { systemClock } from '../infra/clock.ts'
import { type AskedLanes, createAskedLanes } from '../infra/federation/asked-lanes.ts'
import { createFederationClient, type FederationClient } from '../infra/federation/federation-client.ts'
import { createFederationConnections } from '../infra/federation/federation-connections.ts'

/** The client of a server that does not federate, for tests of a server alone. */
export function createNoFederation(serverName: ServerName): FederationClient {
  const connections = createFederationConnections(
    { trustedCertificates: [], allowPrivateAddresses: false },
    systemClock,
  )
  const signingKey = signingKeyFromSeed('a', Buffer.alloc(32, 1))
  return createFederationClient({ serverName, signingKey, enabled: false, connections })
}

/** Lanes as the default configuration has them. */
export function createTestLanes(): AskedLanes {
  return createAskedLanes(defaultConfig().limits.remote_requests)
}
