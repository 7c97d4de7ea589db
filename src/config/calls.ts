import { z } from 'zod'
import { withoutTrailingSlashes } from '../core/text/trailing-slashes.ts'
import { duration } from './units.ts'

const socketUrl = z
  .url({ protocol: /^wss?$/, error: "expected a URL such as 'wss://livekit.example.org'" })
  .transform(withoutTrailingSlashes)
const webUrl = z
  .url({ protocol: /^https?$/, error: "expected a URL such as 'https://livekit.example.org'" })
  .transform(withoutTrailingSlashes)

const livekit = z
  .strictObject({
    url: socketUrl.optional().meta({
      description:
        'The public WebSocket URL of LiveKit, to which clients connect. Absent: this server offers no group calls.',
      example: 'wss://livekit.example.org',
    }),
    api_key: z.string().min(1).optional().meta({
      description: 'A key in the section keys of the configuration of LiveKit.',
      example: 'hearth',
    }),
    api_secret: z.string().min(1).optional().meta({
      description: 'The secret of this key. A holder of it can join and end every call.',
      example: 'a random text of at least 32 characters',
    }),
    api_secret_file: z.string().min(1).optional().meta({
      description: 'Instead of api_secret: a file that contains it.',
      example: '/etc/hearth/livekit-secret',
    }),
    api_url: webUrl.optional().meta({
      description: 'Where Hearth itself reaches LiveKit, to create rooms. Absent: url, with https or http.',
      example: 'http://127.0.0.1:7880',
    }),
    service_url: webUrl.optional().meta({
      description:
        'The public URL under which clients request tokens by OpenID. Absent: /livekit/jwt below public_base_url. The reverse proxy has to route another URL to that path of Hearth.',
      example: 'https://matrix.example.org/livekit/jwt',
    }),
    grace_period: duration
      .prefault('30s')
      .describe(
        'How long participants who handed over their leave event stay in a call while LiveKit does not confirm that they are connected, such as during its restart.',
      ),
  })
  .refine(({ url, api_key }) => url === undefined || api_key !== undefined, {
    message: 'is missing; url needs it',
    path: ['api_key'],
  })
  .refine(
    ({ url, api_secret, api_secret_file }) =>
      url === undefined || (api_secret === undefined) !== (api_secret_file === undefined),
    { message: 'url needs either api_secret or api_secret_file', path: ['api_secret'] },
  )
  .prefault({})
  .describe('LiveKit, the media server of group calls. Hearth creates its rooms and signs its tokens.')

/** The section `calls`. */
export const calls = z
  .strictObject({ livekit })
  .prefault({})
  .describe('Group calls (MatrixRTC), as in Element Call and Element X.')
