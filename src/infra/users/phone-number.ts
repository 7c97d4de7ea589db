/** A phone number: its canonical form (E.164 without +), and its country (ISO 3166-1), if it belongs to one. */
export type PhoneNumber = { msisdn: string; country: string | undefined }

/** No number is longer: https://www.itu.int/rec/T-REC-E.164 ; these texts may have spaces and brackets. */
const MAX_TEXT = 40

/**
 * Parses a phone number as a user enters it, in the format of a country or with +. Undefined for a text that is no
 * possible number. https://spec.matrix.org/v1.19/appendices/#3pid-types
 */
export async function parsePhoneNumber(text: string, country: string | undefined): Promise<PhoneNumber | undefined> {
  if (text.length > MAX_TEXT) return undefined
  // The library's tables are loaded only where phone numbers are in use.
  const { isSupportedCountry, parsePhoneNumberFromString } = await import('libphonenumber-js')
  const code = country?.toUpperCase()
  const parsed = parsePhoneNumberFromString(text, code !== undefined && isSupportedCountry(code) ? code : undefined)
  return parsed?.isValid() ? { msisdn: parsed.number.slice(1), country: parsed.country } : undefined
}
