// The shapes of the admin API, by the names that its OpenAPI document gives them: `npm run types` makes schema.ts of it.

export type * from "./schema";
