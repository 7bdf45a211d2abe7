// Who may use the console and the API: users, tokens of programs, and who is logged in.

import { useState } from "preact/hooks";
import { post, remove, url } from "../api/client";
import type { ActiveLogin, AdminToken, AdminUser, AdminUsers, MadeToken, Role } from "../api/types";
import { Action } from "../components/action";
import { Badge, Empty, Moment, PageHead, Section, Waiting } from "../components/basics";
import { confirm } from "../components/confirm";
import { Table, useTableState, type Column } from "../components/table";
import { done } from "../components/toast";
import { count, t, word } from "../i18n";
import { usePoll } from "../state/poll";
import { session } from "../state/session";
import "./manage.css";
import type { PageProps } from "./pages";

const ROLES: Role[] = ["viewer", "operator", "admin"];

export function Access(_: PageProps) {
  const { data, error, reload } = usePoll<AdminUsers>("admin/users", 5_000);
  return (
    <>
      <PageHead title={t("nav.access")} lead={t("lead.access")} />
      {!data ? (
        <Waiting error={error} onRetry={reload} />
      ) : (
        <>
          <UserList users={data.users} />
          <TokenList tokens={data.tokens} />
          <LoginList logins={data.logins} reload={reload} />
        </>
      )}
    </>
  );
}

function UserList({ users }: { users: AdminUser[] }) {
  const state = useTableState({ sort: "" });
  const columns: Column<AdminUser>[] = [
    { key: "name", label: t("access.name"), cell: (user) => user.name },
    { key: "role", label: t("access.role"), cell: (user) => word("role", user.role) },
    { key: "last", label: t("access.last_login"), cell: (user) => <Moment at={user.last_login} /> },
    { key: "failures", label: t("access.failures"), align: "right", cell: (user) => count(user.failures), yields: 3 },
    {
      key: "locked", label: t("access.locked"),
      cell: (user) => (user.locked_until ? <Badge tone="warning">{t("access.locked_until")} <Moment at={user.locked_until} /></Badge> : "–"),
    },
  ];
  return (
    <Section title={t("access.users")} aside={t("access.users_where")}>
      <Table caption={t("access.users")} columns={columns} rows={users} rowKey={(user) => user.name} state={state}
        empty={<Empty title={t("access.no_users")}>{t("access.no_users_more")}</Empty>} />
    </Section>
  );
}

function TokenList({ tokens }: { tokens: AdminToken[] }) {
  const state = useTableState({ sort: "" });
  const columns: Column<AdminToken>[] = [
    { key: "name", label: t("access.name"), cell: (token) => token.name },
    { key: "role", label: t("access.role"), cell: (token) => word("role", token.role) },
    { key: "last", label: t("access.last_used"), cell: (token) => <Moment at={token.last_used} /> },
  ];
  return (
    <Section title={t("access.tokens")} aside={t("access.tokens_where")}>
      <Table caption={t("access.tokens")} columns={columns} rows={tokens} rowKey={(token) => token.name} state={state}
        empty={<Empty title={t("access.no_tokens")}>{t("access.no_tokens_more")}</Empty>} />
      <NewToken />
    </Section>
  );
}

function NewToken() {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [made, setMade] = useState<MadeToken | null>(null);
  const wrong = !/^[A-Za-z0-9._-]{1,64}$/.test(name);
  return (
    <form class="fields" onSubmit={(event) => event.preventDefault()}>
      <label>
        <span>{t("access.token_name")}</span>
        <input value={name} autoComplete="off" onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t("access.role")}</span>
        <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
          {ROLES.map((one) => <option key={one} value={one}>{word("role", one)}</option>)}
        </select>
      </label>
      <Action role="admin" why={wrong ? t("access.token_name_wrong") : null}
        onAct={async () => setMade(await post<MadeToken>("admin/tokens", { name, role }))}>
        {t("access.make_token")}
      </Action>
      {made && (
        <div class="made" role="status">
          <p>{t("access.made")}</p>
          <pre class="text" tabIndex={0} aria-label={t("access.token")}>{made.token}</pre>
          <p>{t("access.made_section")}</p>
          <pre class="text" tabIndex={0} aria-label={t("access.section")}>{made.section}</pre>
        </div>
      )}
    </form>
  );
}

function LoginList({ logins, reload }: { logins: ActiveLogin[]; reload: () => void }) {
  const state = useTableState({ sort: "" });
  const end = async (login: ActiveLogin) => {
    const yes = await confirm({
      title: t("access.end_title", { name: login.name }),
      body: <p>{t("access.end_body", { from: login.from })}</p>,
      action: t("access.end"),
      danger: true,
    });
    if (!yes) return;
    if (login.own) {
      await post("logout");
      session.loggedOut();
      return;
    }
    await remove(url`admin/logins/${login.id}`);
    done(t("access.ended", { name: login.name }));
    reload();
  };
  const columns: Column<ActiveLogin>[] = [
    { key: "name", label: t("access.name"), cell: (login) => <>{login.name}{login.own && <span class="dim"> {t("access.own")}</span>}</> },
    { key: "role", label: t("access.role"), cell: (login) => word("role", login.role) },
    { key: "from", label: t("access.from"), cell: (login) => <span class="mono">{login.from}</span> },
    { key: "since", label: t("access.since"), cell: (login) => <Moment at={login.since} />, yields: 2 },
    { key: "used", label: t("access.last_used"), cell: (login) => <Moment at={login.last_used} />, yields: 3 },
    { key: "ends", label: t("access.ends"), cell: (login) => <Moment at={login.expires_at} />, yields: 1 },
    {
      key: "actions", label: t("nodes.actions"),
      cell: (login) => (
        <Action role={login.own ? "viewer" : "admin"} small label={t("access.end_name", { name: login.name })} onAct={() => end(login)}>
          {t("access.end")}
        </Action>
      ),
    },
  ];
  return (
    <Section title={t("access.logins")}>
      <Table caption={t("access.logins")} columns={columns} rows={logins} rowKey={(login) => login.id} state={state}
        empty={<Empty title={t("access.no_logins")} />} />
    </Section>
  );
}
