import type { KeyObject } from 'node:crypto'
import { equalityTag } from '../../src/sealing/tags.js'
import { type Needle, needlesOf } from './disk-scan.js'

/*
 * Two people whose traces are looked for, and events of theirs, that mention them, and of others.
 */

export const subjects = {
  DELETE: { id: 'kunde-47110815', email: 'Zoë.Quint@Leute.Example', name: 'Zoë Ärmel-Quint' },
  ANONYMIZE: { id: 'klient-93220716', email: 'Bjørn.Falk@Leute.Example', name: 'Bjørn Øre-Falk' },
} as const
export const people = Object.values(subjects)
/** What identifies them. */
export const words = people.flatMap((person) => Object.values(person))
export const needles: Needle[] = people.flatMap((person) =>
  Object.entries(person).flatMap(([name, text]) => needlesOf(`${name} of ${person.id}`, text)),
)

const OTHERS = 20

type Subject = (typeof people)[number]
/** What one of them did. */
export const ownEvent = (subject: Subject, i: number, more: object = {}) => ({
  action: 'doc.write',
  category: 'docs',
  actor: subject,
  target: { id: subject.id, type: 'user' },
  payload: { i, text: `${subject.name} <${subject.email}>` },
  traceId: subject.id,
  ...more,
})
/** What somebody else did to one of them. */
export const mentionOf = (subject: Subject, i: number, more: object = {}) => ({
  action: 'mail.sent',
  category: 'mail',
  actor: { id: 'author' },
  target: { id: subject.email },
  payload: { i, to: subject.email },
  ...more,
})
export const otherEvent = (i: number, more: object = {}) => ({
  action: 'doc.read',
  category: 'docs',
  actor: { id: `other-${i % OTHERS}` },
  payload: { i, filler: 'x'.repeat(200) },
  ...more,
})
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
/** So many of others, and so many of each of them. */
export const mixed = (others: number, own: number, mentions: number): object[] => [
  ...times(others, otherEvent),
  ...people.flatMap((person) => [
    ...times(own, (i) => ownEvent(person, i, { idempotencyKey: `${person.id} ${i}` })),
    ...times(mentions, (i) => mentionOf(person, i)),
  ]),
]

/** Every search that finds them. */
export const identifierFilters = people.flatMap(({ id, email }) => [
  `actorId: "${id}"`,
  `actorEmail: "${email}"`,
  `targetId: "${id}"`,
  `targetId: "${email}"`,
  `traceId: "${id}"`,
])

/** Their equality tags, as bytes and in hex. */
export function tagsOf(tagKey: KeyObject): Needle[] {
  return people.flatMap(({ id, email }) =>
    (
      [
        ['actor.id', id],
        ['actor.email', email],
        ['target.id', id],
        ['target.id', email],
        ['traceId', id],
      ] as const
    ).flatMap(([kind, value]) => {
      const tag = equalityTag(tagKey, kind, value)
      return [
        { name: `tag ${kind} of ${value}`, bytes: tag },
        { name: `tag ${kind} of ${value} in hex`, bytes: Buffer.from(tag.toString('hex')) },
      ]
    }),
  )
}
