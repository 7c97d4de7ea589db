import { z } from 'zod'

/** The section `phone`. */
export const phone = z
  .strictObject({
    gateway_url: z
      .url({ protocol: /^https?$/, error: "expected a URL such as 'https://sms.example.org/send'" })
      .optional()
      .meta({
        description:
          'Your gateway for text messages: Hearth posts {"to": "+491701234567", "text": "…"} as JSON to it, and expects a 2xx status. Absent: accounts have no phone numbers.',
        example: 'https://sms.example.org/send',
      }),
    gateway_token: z.string().min(1).optional().meta({
      description: 'Sent to the gateway as "Authorization: Bearer TOKEN".',
      example: 'a long random text',
    }),
    allowed_countries: z
      .array(
        z
          .string()
          .regex(/^[A-Za-z]{2}$/, "expected a country such as 'DE'")
          .transform((code) => code.toUpperCase()),
      )
      .prefault([])
      .describe(
        'Countries (ISO 3166-1) whose numbers are accepted. Empty: all, which lets fraudsters cause messages to expensive numbers.',
      ),
  })
  .prefault({})
  .describe('Phone numbers of accounts, verified by codes in text messages.')
