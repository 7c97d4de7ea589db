import type { App } from '../../../app.ts'
import { addPasskey, removePasskey, renamePasskey } from '../../../services/sign-in/passkeys.ts'
import { renewRecoveryCodes } from '../../../services/sign-in/second-factors.ts'
import { beginTotp, removeTotp } from '../../../services/sign-in/totp.ts'
import type { Page } from '../layout.ts'
import { ownPath, SECOND_FACTOR_PATH, withContinue } from '../own-path.ts'
import { type Redirect, redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { accountForm } from './account-page.ts'
import { afterAdding, recoveryCodesPage } from './recovery-codes.ts'
import { type FactorVisit, factorsPage, secondFactorQuery } from './second-factors-view.ts'

/** Lists the second factors of the account, and changes them: the field `do` says how. */
export const [getSecondFactorPage, postSecondFactorPage] = accountForm({
  path: SECOND_FACTOR_PATH,
  query: secondFactorQuery,
  needs: 'recent sign-in',
  withoutSecondFactor: true,
  show: factorsPage,
  submit: async (app, visit) => (await CHANGES.get(visit.form.get('do') ?? '')?.(app, visit)) ?? backToList(visit),
})

type Change = (app: App, visit: FactorVisit) => Promise<Page | Redirect>

const CHANGES: ReadonlyMap<string, Change> = new Map(
  Object.entries<Change>({
    async 'begin-totp'(app, visit) {
      await beginTotp(app, visit.session.userId)
      return redirectTo(withContinue(`${SECOND_FACTOR_PATH}/totp`, ownPath(visit.query.continue)))
    },
    async 'remove-totp'(app, visit) {
      await removeTotp(app, visit.session.userId)
      return backToList(visit, 'removed')
    },
    async 'add-passkey'(app, visit) {
      const { form, session, browser, texts } = visit
      const name = nameIn(form) || texts.secondFactor.passkey
      const answer = form.get('credential') ?? ''
      const added = await addPasskey(app, { userId: session.userId, cookie: browser.cookie, answer, name })
      return afterAdding(visit, added.recoveryCodes)
    },
    async 'rename-passkey'(app, visit) {
      const { form, session } = visit
      const name = nameIn(form)
      if (name !== '')
        await renamePasskey(app, { userId: session.userId, credentialId: form.get('passkey') ?? '', name })
      return backToList(visit, 'renamed')
    },
    async 'remove-passkey'(app, visit) {
      const { form, session } = visit
      await removePasskey(app, { userId: session.userId, credentialId: form.get('passkey') ?? '' })
      return backToList(visit, 'removed')
    },
    async 'renew-codes'(app, visit) {
      return recoveryCodesPage(visit, await renewRecoveryCodes(app, visit.session.userId))
    },
  }),
)

function backToList({ query }: FactorVisit, done?: keyof Texts['secondFactor']['done']): Redirect {
  const list = done === undefined ? SECOND_FACTOR_PATH : `${SECOND_FACTOR_PATH}?done=${done}`
  return redirectTo(withContinue(list, ownPath(query.continue)))
}

function nameIn(form: URLSearchParams): string {
  return (form.get('name') ?? '').trim()
}
