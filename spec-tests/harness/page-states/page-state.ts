import type { BrowserContext, Page } from 'playwright-core'
import { registerUser, type TestUser } from '../client.ts'
import type { TestHearth } from '../hearth.ts'
import type { MailServer } from '../mail-server.ts'
import { newVisitor, signIn } from '../page-visitor.ts'

/** A server, and a tab of a browser in which a page is to be shown. */
export type PageTab = {
  hearth: TestHearth
  mails: MailServer
  page: Page
  /** Opens a path of the server. */
  go(path: string): Promise<void>
  /** Registers a user with the password of `registerUser`. */
  register(): Promise<TestUser>
  /** Signs the browser in, without showing a page. */
  signIn(user: TestUser): Promise<void>
  /** Registers a user and signs the browser in as that. */
  enter(): Promise<TestUser>
}

/** A page in one of its states. The name is that of its screenshots. */
export type PageState = {
  name: string
  /** Leads a tab to the state. */
  open(tab: PageTab): Promise<void>
}

/** States of a server with this configuration. */
export type PageStates = { config?: Record<string, unknown>; states: readonly PageState[] }

/** Returns the tab of a new browser context. */
export async function createTab(
  context: BrowserContext,
  { hearth, mails }: Pick<PageTab, 'hearth' | 'mails'>,
): Promise<PageTab> {
  const page = await context.newPage()
  const register = () => registerUser(hearth.url)

  async function enterAs(user: TestUser): Promise<void> {
    const visitor = newVisitor(hearth.url)
    await signIn(visitor, user)
    const cookies = [...visitor.cookies].map(([name, value]) => ({ name, value, url: hearth.url }))
    await context.addCookies(cookies)
  }

  return {
    hearth,
    mails,
    page,
    register,
    signIn: enterAs,
    go: async (path) => void (await page.goto(hearth.url + path)),
    async enter() {
      const user = await register()
      await enterAs(user)
      return user
    },
  }
}
