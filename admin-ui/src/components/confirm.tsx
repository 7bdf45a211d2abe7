// Asks before something is done that clients notice. The browser's own dialog keeps the focus in and gives it back.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { store, useStore } from "../state/store";

export interface Question {
  title: string;
  body: ComponentChildren;
  /** What the button says that does it. */
  action: string;
  danger?: boolean;
}

const asked = store<(Question & { answer: (yes: boolean) => void }) | null>(null);

/** Resolves to true if the reader says so. */
export function confirm(question: Question): Promise<boolean> {
  asked.get()?.answer(false);
  return new Promise((resolve) => {
    const answer = (yes: boolean) => {
      asked.set(null);
      resolve(yes);
    };
    asked.set({ ...question, answer });
  });
}

/** Where questions appear; once in the layout. */
export function ConfirmHost() {
  const question = useStore(asked);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (question && dialog.current && !dialog.current.open) dialog.current.showModal();
  }, [question]);
  if (!question) return null;
  return (
    <dialog
      ref={dialog}
      class="confirm"
      aria-labelledby="confirm-title"
      aria-describedby="confirm-body"
      onCancel={(event) => {
        event.preventDefault();
        question.answer(false);
      }}
    >
      <h2 id="confirm-title">{question.title}</h2>
      <div id="confirm-body" class="confirm-body">
        {question.body}
      </div>
      <div class="confirm-actions">
        <button type="button" autoFocus onClick={() => question.answer(false)}>
          {t("confirm.cancel")}
        </button>
        <button type="button" class={question.danger ? "danger" : "primary"} onClick={() => question.answer(true)}>
          {question.action}
        </button>
      </div>
    </dialog>
  );
}
