// The shapes of the admin API, by the names that its OpenAPI document gives them: `npm run types` makes schema.ts of it.

import type { Role } from "./schema";

export type * from "./schema";

export interface LoggedIn { token: string; role: Role; expires_at: string; csrf_token: string }
export interface WhoAmI {
  name: string; role: Role; by: string; expires_at?: string | null; csrf_token?: string | null; gateway: string;
  version: string;
}
