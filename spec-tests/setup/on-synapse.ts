import type { TestProject } from 'vitest/node'
import { startFederation } from '../harness/federation.ts'
import { SHARED_SECRET } from '../harness/hearth.ts'
import { startSynapse } from '../harness/synapse.ts'
import { provideHomeserver } from './homeserver.ts'

/** Synapse's rate limits, which the tests would reach. */
const UNLIMITED = { per_second: 9999, burst_count: 9999 }

/** Features that are on by default in Hearth, but not in Synapse. */
const CONFIG = {
  registration_shared_secret: SHARED_SECRET,
  login_via_existing_session: { enabled: true },
  password_config: { policy: { enabled: true, minimum_length: 8 } },
  max_event_delay_duration: '24h',
  caches: { sync_response_cache_duration: 0 },
  user_directory: { enabled: true, search_all_users: true },
  server_notices: { system_mxid_localpart: 'notices', system_mxid_display_name: 'Notices', room_name: 'Notices' },
  rc_admin_redaction: UNLIMITED,
  rc_3pid_validation: UNLIMITED,
  rc_presence: { per_user: UNLIMITED },
  rc_delayed_event_mgmt: UNLIMITED,
  rc_room_creation: UNLIMITED,
  rc_user_directory: UNLIMITED,
  rc_media_create: UNLIMITED,
  rc_key_requests: UNLIMITED,
  experimental_features: {
    msc2409_to_device_messages_enabled: true,
    msc3202_device_masquerading: true,
    msc3391_enabled: true,
    msc3575_enabled: true,
    msc3814_enabled: true,
    msc3881_enabled: true,
    msc3890_enabled: true,
    msc3912_enabled: true,
    msc4155_enabled: true,
    msc4222_enabled: true,
    msc4306_enabled: true,
    msc4354_enabled: true,
  },
}

/** One Synapse, to see where the two servers differ. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideHomeserver(project, async () => {
    const federation = await startFederation()
    const { url } = await startSynapse(federation, CONFIG)
    return { url, dispose: () => federation.dispose() }
  })
}
