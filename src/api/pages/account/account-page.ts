import { MatrixError } from '../../../core/errors.ts'
import type { SignedInClient } from '../../../services/oauth/signed-in-clients.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { errorText, type Redirect, type Visit } from '../page.ts'

/** A visit of a page of the account. */
export type AccountVisit<Params = unknown, Query = unknown> = Visit<Params, Query, WebSession>

/** The error of a form that was refused. */
export type Problem = { alert?: string | undefined; status?: number; filled?: URLSearchParams }

/** A page below the start page of the account, to which it leads back. */
export function accountSubpage({ texts }: Pick<Visit, 'texts'>, page: Page): Page {
  return { back: { path: '/account', label: texts.layout.account }, ...page }
}

/** Returns the message that the query of a page asks for, by its name. */
export function messageOf(name: string | undefined, messages: Readonly<Record<string, string>>): string | undefined {
  return name !== undefined && Object.hasOwn(messages, name) ? messages[name] : undefined
}

/** Handles a form. If it is refused, the page is shown again with the error. */
export async function handleForm(
  { form, texts }: Pick<AccountVisit, 'form' | 'texts'>,
  handle: () => Promise<Redirect | Page>,
  again: (problem: Problem) => Promise<Page | Redirect> | Page,
): Promise<Redirect | Page> {
  try {
    return await handle()
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return again({ alert: errorText(texts, error.toJSON()), status: error.status, filled: form })
  }
}

/** Returns when and from where something was last used. */
export function seenText(
  visit: Pick<AccountVisit, 'language' | 'texts'>,
  { at, address }: { at: number; address: string | null },
): string {
  return visit.texts.devices.seen(momentText(visit, at), address ?? '')
}

/** Returns the name of a client with the host that proves who provides it. */
export function clientText({ texts }: Pick<AccountVisit, 'texts'>, { name, host }: SignedInClient): string {
  return name === host ? host : texts.devices.clientAt(name, host)
}
