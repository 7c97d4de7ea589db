import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { z } from 'zod'

// A push gateway in a process of its own: `node push-gateway.ts PORT FILE`. It checks each notification and writes it
// to the file as a line, with `fault` if it violates https://spec.matrix.org/v1.19/push-gateway-api/

const device = z.looseObject({
  app_id: z.string().max(64),
  pushkey: z.string().max(512),
  pushkey_ts: z.int().optional(),
  data: z.looseObject({ format: z.string().optional() }).optional(),
  tweaks: z.looseObject({ sound: z.string().optional(), highlight: z.boolean().optional() }).optional(),
})
const body = z.strictObject({
  notification: z.looseObject({
    event_id: z.string().optional(),
    room_id: z.string().optional(),
    type: z.string().optional(),
    sender: z.string().optional(),
    prio: z.enum(['high', 'low']).optional(),
    content: z.looseObject({}).optional(),
    counts: z.strictObject({ unread: z.int().optional(), missed_calls: z.int().optional() }).optional(),
    devices: z.array(device).min(1),
  }),
})

const [port, file] = process.argv.slice(2)
createServer(async (request, response) => {
  const isNotify = request.method === 'POST' && request.url === '/_matrix/push/v1/notify'
  const parsed = body.safeParse(isNotify ? await json(request).catch(() => undefined) : undefined)
  const line = parsed.success
    ? parsed.data.notification
    : { fault: `${request.method} ${request.url}: ${parsed.error}` }
  // Only once the response is sent: a test that kills this process when it sees the line must not cut the response off.
  response.on('finish', () => appendFileSync(file!, `${JSON.stringify(line)}\n`))
  response.writeHead(parsed.success ? 200 : 400, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ rejected: [] }))
}).listen(Number(port), '127.0.0.1')
