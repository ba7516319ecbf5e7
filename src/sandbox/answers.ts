/** A whole HTTP answer, before it meets a wire. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One entry of `Errors`. */
export interface FieldError {
  PropertyName: string;
  Message: string;
  AttemptedValue?: unknown;
}

/** Any JSON value as an answer. */
export function jsonAnswer(status: number, body: unknown): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'X-Powered-By': 'ASP.NET' },
    body: JSON.stringify(body),
  };
}

/** A status and nothing else, as Nexudus answers 401 and 409. */
export function emptyAnswer(status: number, headers: Answer['headers'] = {}): Answer {
  return { status, headers, body: '' };
}

/** Plain text. */
export function textAnswer(status: number, body: string): Answer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body };
}

/** A page of the edge in front of Nexudus. */
export function htmlAnswer(status: number, title: string): Answer {
  const page = `<html><head><title>${title}</title></head><body><h1>${title}</h1><hr>spaces.nexudus.com</body></html>`;
  return { status, headers: { 'Content-Type': 'text/html; charset=UTF-8', Server: 'edge' }, body: page };
}

/** The answer to a call that came too fast. */
export function throttleAnswer(status: 409 | 429, retryAfter: string | null): Answer {
  return emptyAnswer(status, retryAfter === null ? {} : { 'Retry-After': retryAfter });
}

/** The 404 of a record: a JSON string, not an object. */
export function notFoundAnswer(): Answer {
  return jsonAnswer(404, 'Not found');
}

/** The envelope of a write that was done. */
export function successBody(
  done: 'created' | 'updated' | 'deleted',
  value: unknown,
  by: { updatedOn: string; updatedBy: string },
): Record<string, unknown> {
  return {
    Status: 200,
    Message: `OpenAiChatMessage was successfully ${done}.`,
    Value: value,
    OpenInDialog: false,
    OpenInWindow: false,
    RedirectURL: null,
    JavaScript: null,
    UpdatedOn: by.updatedOn,
    UpdatedBy: by.updatedBy,
    Errors: null,
    WasSuccessful: true,
  };
}

/** The envelope of a refusal: `Message` names the first error only, `Status` is mostly missing. */
export function failureBody(
  errors: readonly FieldError[] | null,
  detail: { message?: string | undefined; innerStatus?: number | undefined } = {},
): Record<string, unknown> {
  const first = errors?.[0];
  const named =
    first === undefined ? 'The record could not be saved.' : `${first.PropertyName}: ${first.Message}`;
  return {
    ...(detail.innerStatus === undefined ? {} : { Status: detail.innerStatus }),
    Message: detail.message ?? named,
    Value: null,
    Errors:
      errors?.map(({ PropertyName, Message, AttemptedValue = null }) => ({
        AttemptedValue,
        Message,
        PropertyName,
      })) ?? null,
    WasSuccessful: false,
  };
}
