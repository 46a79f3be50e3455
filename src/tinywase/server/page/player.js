// Several recordings of the same length as one: whoever switches between them stays where he is.

export class Player {
  #tracks = {};
  #current = "";
  #onTick;

  // onTick(seconds, playing) while it plays and whenever something changes.
  constructor(onTick) {
    this.#onTick = onTick;
  }

  load(files, current) {
    this.unload();
    for (const [name, file] of Object.entries(files)) {
      const audio = new Audio(URL.createObjectURL(file));
      audio.onended = () => this.#tell();
      this.#tracks[name] = audio;
    }
    this.#current = current;
    this.#tell();
  }

  unload() {
    for (const audio of Object.values(this.#tracks)) {
      audio.pause();
      URL.revokeObjectURL(audio.src);
    }
    this.#tracks = {};
  }

  get playing() {
    const audio = this.#tracks[this.#current];
    return Boolean(audio) && !audio.paused && !audio.ended;
  }

  choose(name) {
    const [before, after] = [this.#tracks[this.#current], this.#tracks[name]];
    const went = this.playing;
    this.#current = name;
    if (!after || before === after) return;
    before.pause();
    after.currentTime = before.currentTime;
    if (went) this.toggle();
  }

  seek(seconds) {
    this.#tracks[this.#current].currentTime = seconds;
    this.#tell();
  }

  toggle() {
    const audio = this.#tracks[this.#current];
    if (this.playing) audio.pause();
    else audio.play().then(() => this.#follow());
    this.#tell();
  }

  #follow() {
    this.#tell();
    if (this.playing) requestAnimationFrame(() => this.#follow());
  }

  #tell() {
    this.#onTick(this.#tracks[this.#current]?.currentTime ?? 0, this.playing);
  }
}
