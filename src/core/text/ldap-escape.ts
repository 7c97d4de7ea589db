/**
 * Returns a text in the form in which it stands for itself inside a value, in search filters
 * (https://www.rfc-editor.org/rfc/rfc4515#section-3) and in distinguished names
 * (https://www.rfc-editor.org/rfc/rfc4514#section-2.4). Letters, digits and `._@-` need no escape in either.
 */
export function escapeForLdap(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are escaped too
  return text.replace(/[\x00-\x7f]/g, (character) =>
    /[A-Za-z0-9._@-]/.test(character) ? character : `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
