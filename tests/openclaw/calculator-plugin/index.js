// The one tool that the pocket model was trained to call, as a real tool of the real OpenClaw.

export default {
  id: "test-calculator",
  name: "Calculator of the tests",
  register(api) {
    api.registerTool({
      name: "calculator",
      description: "Calculate an arithmetic expression.",
      parameters: {
        type: "object",
        properties: { expression: { type: "string" } },
        required: ["expression"],
      },
      async execute(_id, { expression }) {
        if (!/^[\d\s+*/().-]+$/.test(expression)) throw new Error("numbers and + - * / only");
        const value = Function(`"use strict"; return (${expression});`)();
        return { content: [{ type: "text", text: String(value) }], details: { exitCode: 0 } };
      },
    });
  },
};
