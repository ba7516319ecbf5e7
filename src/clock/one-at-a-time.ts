/** Work that is never done twice at once: whoever asks for it meanwhile has it done once more. */
export class OneAtATime {
  readonly #work: () => Promise<void>;
  #isUnderWay = false;
  #isDue = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** @throws whatever the work does; who asked meanwhile does not hear of it */
  async run(): Promise<void> {
    this.#isDue = true;
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    try {
      while (this.#isDue) {
        this.#isDue = false;
        await this.#work();
      }
    } finally {
      this.#isUnderWay = false;
    }
  }
}
