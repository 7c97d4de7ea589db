import type { Page, Response } from 'playwright-core'
import { pollUntil } from '../../testing/poll-until.ts'
import type { AdminTool } from './admin-tool.ts'

/** Ketesa keeps the filters of a list. */
export const UNFILTERED = `?${new URLSearchParams({ filter: '{}', displayedFilters: '{}' })}`

/** The acts of the driver on the pages of Ketesa. */
export type Ketesa = ReturnType<typeof openKetesa>

/** Returns acts on the pages of Ketesa in the tab of a tool. */
export function openKetesa({ tab, url, step }: AdminTool) {
  const { press, field, does, ...others } = controlsOf(tab)

  async function go(path: string): Promise<void> {
    await tab.goto('about:blank')
    await tab.goto(`${url}#/${path}`)
  }

  /** Opens a list, sorts it by each of its columns, and narrows it by a text. */
  async function tryList(path: string, api: RegExp, search?: { field: string; text: string }): Promise<void> {
    await step(`${path}: list`, () => does('GET', api, () => go(path)))
    if (search)
      await step(`${path}: search`, () =>
        does('GET', new RegExp(search.text), () => field(search.field).fill(search.text)),
      )
    const columns = await tab.locator('thead .MuiTableSortLabel-root').allInnerTexts()
    for (const column of columns)
      await step(`${path}: sort by ${column.trim()}`, () =>
        does('GET', api, () =>
          tab.locator('thead .MuiTableSortLabel-root').filter({ hasText: column.trim() }).first().click(),
        ),
      )
  }

  return {
    ...{ press, field, does, go, tryList, ...others },
    userPage: (user: string) => go(`users/${encodeURIComponent(user)}`),
    roomPage: (room: string) => go(`rooms/${encodeURIComponent(room)}/show`),
    /** Opens a list without filters and selects the rows with these texts. */
    async select(list: string, ...texts: string[]): Promise<void> {
      await go(`${list}${UNFILTERED}`)
      for (const text of texts) await tab.getByRole('row').filter({ hasText: text }).getByRole('checkbox').check()
    },
    /** Adds a filter of a list by the name in the menu. */
    async addFilter(name: string): Promise<void> {
      await press('Add filter')
      await tab.locator('.MuiMenuItem-root').filter({ hasText: name }).click()
    },
  }
}

function controlsOf(tab: Page) {
  const button = (name: string | RegExp) =>
    tab.getByRole('button', { name, exact: true }).filter({ visible: true }).first()
  const dialog = tab.getByRole('dialog')
  return {
    button,
    press: (name: string | RegExp) => button(name).click(),
    inDialog: (name: string) => dialog.getByRole('button', { name, exact: true }).click(),
    /** Presses the last button of the dialog. */
    accept: () => dialog.getByRole('button').last().click(),
    field: (name: string) => tab.locator(`[name="${name}"]`).filter({ visible: true }).first(),
    /** Acts, and waits for the answers to a number of requests, which have to be successes. */
    async does(method: string, path: RegExp, act: () => Promise<unknown>, times = 1): Promise<void> {
      const answers = new Set<Response>()
      const answering = tab.waitForResponse((response) => {
        const isWanted = response.request().method() === method && path.test(decodeURIComponent(response.url()))
        if (isWanted) answers.add(response)
        return answers.size === times
      })
      await Promise.all([answering, act()])
      for (const response of answers)
        if (!response.ok()) throw new Error(`${response.status()} ${await response.text()}`)
    },
    /** Opens a tab of a page. The page may still load then, and come back to its first tab. */
    async openTab(name: RegExp): Promise<void> {
      const wanted = tab.getByRole('tab', { name })
      await pollUntil('the tab is open', async () => {
        await wanted.click()
        await tab.waitForTimeout(300)
        return (await wanted.getAttribute('aria-selected')) === 'true'
      })
    },
  }
}
