import type { Page } from 'playwright-core'

/** Signs in with a password on the page of a browser. */
export async function signInOnPage(tab: Page, { user, password }: { user: string; password: string }): Promise<void> {
  await tab.getByLabel('User name').fill(user)
  await tab.getByLabel('Password', { exact: true }).fill(password)
  await tab.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** Consents to what a client asks for. */
export async function allow(tab: Page): Promise<void> {
  await tab.getByRole('button', { name: 'Allow' }).click()
}

/** Refuses what a client asks for. */
export async function refuse(tab: Page): Promise<void> {
  await tab.getByRole('button', { name: 'Cancel' }).click()
}

/** Signs in the device that shows a code, on the page of a user who is signed in. */
export async function allowDevice(tab: Page, userCode: string): Promise<void> {
  await tab.getByText(userCode, { exact: true }).waitFor()
  await tab.getByRole('button', { name: 'Sign in the device' }).click()
  await tab.getByRole('heading', { name: 'The device is signed in' }).waitFor()
}

/** Creates an account on the page of a browser. */
export async function registerOnPage(tab: Page, { user, password }: { user: string; password: string }): Promise<void> {
  await tab.getByLabel('User name').fill(user)
  await tab.getByLabel('Password', { exact: true }).fill(password)
  await tab.getByRole('button', { name: 'Create account' }).click()
}
