import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'

/** Handles the content of an EDU type. Throws a ZodError or MatrixError for content to be ignored. */
export type EduApp = Pick<
  App,
  | 'config'
  | 'database'
  | 'serverName'
  | 'stream'
  | 'clock'
  | 'random'
  | 'logger'
  | 'stopping'
  | 'federation'
  | 'inbound'
>
export type ReceiveEdu = (app: EduApp, origin: ServerName, content: unknown) => Promise<void>
