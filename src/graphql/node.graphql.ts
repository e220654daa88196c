import { Field, ID, InterfaceType } from 'type-graphql'

@InterfaceType('Node', {
  description:
    'Anything with a global id. Ids are TypeIDs: co_ for companies, ws_ for workspaces, prj_ for projects, key_ for API keys; those of things that live in a region carry it, as in evt_eu_.',
})
export abstract class NodeType {
  @Field(() => ID, { description: 'The global id.' })
  readonly id!: string
}
