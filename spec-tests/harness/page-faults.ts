import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/**
 * Returns what is wrong with an open page: accessibility (axe-core), language, headings, width, and controls that the
 * keyboard does not reach or on which the focus cannot be seen. Works by the browser's own protocol, which the page's
 * Content-Security-Policy does not restrict.
 */
export async function faultsOf(
  page: Page,
  { language, scripts, keyboard = true }: { language: string; scripts: boolean; keyboard?: boolean },
): Promise<string[]> {
  if (!scripts) await page.evaluate(TIMERS)
  const faults = [...(await accessibilityFaults(page)), ...(await structuralFaults(page, language))]
  return [...faults, ...(keyboard ? await keyboardFaults(page) : [])]
}

/** Where scripts are off, timers never end, for which axe-core waits. Its long ones are limits, and never have to. */
const TIMERS = `globalThis.setTimeout = (run, delay, ...values) => {
  if (!(delay > 100)) Promise.resolve().then(() => run(...values))
  return 1
}; 0`

async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const options = JSON.stringify({ runOnly: RULES, preload: false, resultTypes: ['violations'] })
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${options})`)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${help}): ${html} ${failureSummary ?? ''}`),
  )
}

async function structuralFaults(page: Page, language: string): Promise<string[]> {
  type Structure = { lang: string; h1: number; title: string; wide: string[] }
  const { lang, h1, title, wide } = await page.evaluate<Structure>(`({
    lang: document.documentElement.lang,
    h1: document.querySelectorAll('h1').length,
    title: document.title,
    wide: document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
      [...document.querySelectorAll('body *')].filter((element) =>
        element.getBoundingClientRect().right > document.documentElement.clientWidth).map((element) => element.outerHTML.slice(0, 200)),
  })`)
  return [
    ...(lang === language ? [] : [`the language is ${lang}, not ${language}`]),
    ...(h1 === 1 ? [] : [`there are ${h1} elements h1`]),
    ...(title.trim() === '' ? ['there is no title'] : []),
    ...wide.map((element) => `is wider than the window: ${element}`),
  ]
}

/** Of a group of radio buttons, Tab reaches one. */
const CONTROLS = `(() => {
  const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
  const groups = new Set()
  const look = (element) => [null, '::file-selector-button'].map((part) => { const style = getComputedStyle(element, part)
    return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.backgroundColor, style.borderColor, style.color, style.textDecoration, style.left].join(' ') }).join(' ')
  document.activeElement?.blur?.()
  const controls = all.filter((element) => {
    if (element.disabled || !element.checkVisibility()) return false
    if (element.type !== 'radio') return true
    const isFirst = !groups.has(element.name)
    groups.add(element.name)
    return isFirst
  }).map((element) => ({ element, look: look(element) }))
  globalThis.testedControls = { controls, look }
  return controls.map(({ element }) => element.outerHTML.slice(0, 160))
})()`

const FOCUSED = `(() => {
  const { controls, look } = globalThis.testedControls
  const at = document.activeElement
  const place = controls.findIndex(({ element }) => element === at || (at?.type === 'radio' && element.type === 'radio' && element.name === at.name))
  return { place, isSeen: place >= 0 && (look(at) !== controls[place].look || at.type === 'radio') }
})()`

async function keyboardFaults(page: Page): Promise<string[]> {
  const controls = await page.evaluate<string[]>(CONTROLS)
  const reached = new Map<number, boolean>()
  for (let presses = 0; presses < 2 * controls.length + 4 && reached.size < controls.length; presses++) {
    await page.keyboard.press('Tab')
    const { place, isSeen } = await page.evaluate<{ place: number; isSeen: boolean }>(FOCUSED)
    if (place >= 0) reached.set(place, isSeen)
  }
  return controls.flatMap((control, place) => {
    if (!reached.has(place)) return [`Tab does not reach ${control}`]
    return reached.get(place) ? [] : [`the focus cannot be seen on ${control}`]
  })
}
