/** Small helpers to build the page; whatever comes from elsewhere becomes text, never markup. */

export interface View<Item> {
  readonly element: HTMLElement;
  show(item: Item): void;
}

/** Shows one element for each item, in their order; an element stays as long as its item is there. */
export class List<Item extends { readonly id: string }> {
  private readonly views = new Map<string, View<Item>>();

  constructor(
    private readonly parent: Element,
    private readonly make: (item: Item) => View<Item>,
  ) {
    parent.replaceChildren();
  }

  show(items: readonly Item[]): void {
    const focused = document.activeElement;
    const ids = new Set(items.map(({ id }) => id));
    for (const [id, view] of this.views) {
      if (ids.has(id)) continue;
      view.element.remove();
      this.views.delete(id);
    }
    items.forEach((item, place) => {
      const view = this.views.get(item.id) ?? this.make(item);
      this.views.set(item.id, view);
      view.show(item);
      const there = this.parent.children[place] ?? null;
      if (there !== view.element) this.parent.insertBefore(view.element, there);
    });
    // What is moved loses the focus.
    if (focused instanceof HTMLElement && this.parent.contains(focused)) focused.focus();
  }
}

export function element<E extends Element>(selector: string, type: new () => E): E {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`index.html has no ${selector}`);
  return found;
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

export function button(text: string, className: string, onClick: () => void): HTMLButtonElement {
  const made = make("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/** Screen readers would read it out again if it were set to what it is. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
