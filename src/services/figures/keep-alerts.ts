import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import {
  deferAlerts,
  deleteOldAlerts,
  endAlerts,
  findAlert,
  listAlertedAdmins,
  listAlerts,
  recordConditions,
} from '../../storage/figures/alerts.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import type { AlertRow } from '../../storage/schema/figures.ts'
import { noticesUser } from '../rooms/access/notices-user.ts'
import { sendServerNotice } from '../rooms/lifecycle/server-notices.ts'
import { composeMail, type Letter, SEND_MAIL } from '../users/mail/compose-mail.ts'
import { findConditions } from './alert-conditions.ts'
import { type AlertText, alertText } from './alert-texts.ts'

/** The jobs that send an alert by a server notice, and to the webhook. */
export const ALERT_NOTICE = 'alert_notice'
export const ALERT_WEBHOOK = 'alert_webhook'

export type Alert = Omit<AlertRow, 'alert_nid'> & AlertText & { id: number }

export type AlertingApp = Pick<App, 'config' | 'database' | 'serverName' | 'mailer' | 'logger' | 'clock' | 'stopping'>

/** A condition that is not seen any more may come back; until then the alert holds. */
const RECOVERED_MS = 10 * 60_000
/** Figures of a minute are kept up this much later on a busy machine. */
const LATE_MS = 60_000
const MOST_ALERTS = 1000
const MOST_ADMINS = 50
const WEBHOOK_TIMEOUT_MS = 10_000

/**
 * Begins alerts for conditions that hold, and ends those whose condition has not held for ten minutes, without counting
 * the time (`gapMs`) that this is late because no process ran. Their messages are jobs of the same transaction: each is
 * sent once, whatever dies.
 */
export async function keepAlerts(
  app: AlertingApp,
  tx: Tx,
  { now, gapMs }: { now: number; gapMs: number },
): Promise<void> {
  const { alerts } = app.config
  if (!alerts.enabled) return
  if (gapMs > LATE_MS) await deferAlerts(tx, gapMs)
  const begun = await recordConditions(tx, await findConditions(tx, alerts, now), now)
  const ended = await endAlerts(tx, { now, before: now - RECOVERED_MS, after: now + RECOVERED_MS })
  for (const alert of [...begun, ...ended]) await announce(app, tx, alert)
  if (begun.length > 0) await deleteOldAlerts(tx, MOST_ALERTS)
  tx.afterCommit(() => {
    for (const { kind, subject, value } of begun) app.logger.warn({ kind, subject, value }, 'alert begun')
    for (const { kind, subject } of ended) app.logger.info({ kind, subject }, 'alert ended')
  })
}

/** Returns the alerts that hold, and then those that have ended, each beginning with the newest. */
export async function listRecentAlerts(app: Pick<App, 'database'>, limit: number): Promise<Alert[]> {
  return (await listAlerts(app.database, limit)).map((row) => describe(app, row))
}

function describe(app: Pick<App, 'database'>, { alert_nid: id, ...row }: AlertRow): Alert {
  return { id, ...row, ...alertText(app, row) }
}

async function announce(app: AlertingApp, tx: Tx, row: AlertRow): Promise<void> {
  const { alerts } = app.config
  const payload = { alert_nid: row.alert_nid, has_ended: row.ended_ts !== null }
  const key = `${row.alert_nid}.${payload.has_ended ? 'ended' : 'begun'}`
  const now = app.clock.now()
  if (app.mailer) {
    for (const to of alerts.email) {
      const mail = composeMail(app, { to, language: 'en', letter: letterOf(app, row), id: `alert.${key}` })
      await enqueueJob(tx, { kind: SEND_MAIL, key: `alert.${key}.${to}`, payload: mail, now })
    }
  }
  if (alerts.webhook !== undefined) await enqueueJob(tx, { kind: ALERT_WEBHOOK, key, payload, now })
  if (!alerts.notices || noticesUser(app) === undefined) return
  for (const user of await listAlertedAdmins(tx, MOST_ADMINS))
    await enqueueJob(tx, { kind: ALERT_NOTICE, key: `${key}.${user}`, payload: { ...payload, user_id: user }, now })
}

const ofAlert = z.object({ alert_nid: z.int(), has_ended: z.boolean() })
const toUser = ofAlert.extend({ user_id: z.string().transform((id) => id as UserId) })

/** Sends an alert to an administrator, once whatever dies. */
export async function sendAlertNotice(app: App, payload: unknown): Promise<void> {
  const { alert_nid: alertNid, has_ended: hasEnded, user_id: target } = toUser.parse(payload)
  const row = await findAlert(app.database, alertNid)
  const sender = noticesUser(app)
  if (!row || sender === undefined) return
  const { subject, parts } = letterOf(app, hasEnded ? row : { ...row, ended_ts: null })
  const content = { msgtype: 'm.text', body: [subject, ...parts].join('\n\n') }
  const txn = { sender, id: `alert.${alertNid}.${hasEnded}` }
  await sendServerNotice(app, { target, type: 'm.room.message', content, txn }).catch((error) => {
    // The account was deactivated in the meantime.
    if (!(error instanceof NotFoundError)) throw error
  })
}

/** Posts an alert to the webhook. Throws if that does not answer with 2xx, so that the job is repeated. */
export async function postAlert(app: App, payload: unknown): Promise<void> {
  const { alert_nid: alertNid, has_ended: hasEnded } = ofAlert.parse(payload)
  const { webhook } = app.config.alerts
  const row = await findAlert(app.database, alertNid)
  if (!row || webhook === undefined) return
  const { kind, subject, title, advice, value, begun_ts, ended_ts } = describe(app, row)
  const body = {
    ...{ server: app.serverName, id: alertNid, status: hasEnded ? 'ended' : 'begun' },
    ...{ kind, subject, title, advice, value, begun_ts, ended_ts: hasEnded ? ended_ts : null },
  }
  const options = { timeoutMs: WEBHOOK_TIMEOUT_MS, signal: app.stopping }
  const { status } = await app.configuredHttp.postJson(webhook, body, options)
  if (status < 200 || status > 299) throw new Error(`the webhook of alerts answers ${status}`)
}

function letterOf(app: Pick<App, 'database' | 'serverName'>, row: AlertRow): Letter & { parts: string[] } {
  const { title, advice } = alertText(app, row)
  if (row.ended_ts !== null) {
    const minutes = Math.max(0, Math.round((row.ended_ts - row.begun_ts) / 60_000))
    return { subject: `${app.serverName}: over: ${title}`, parts: [`This alert has ended after ${minutes} minutes.`] }
  }
  return { subject: `${app.serverName}: ${title}`, parts: [advice] }
}
