"""Prompts in our own words, for sources that come without any (O-LoRA's files, the Hugging Face Hub)."""

from collections.abc import Sequence

INSTRUCTIONS = {
    "sentiment": "What is the sentiment of this text?",
    "topic": "What is the topic of this text?",
    "nli": 'What is the logical relationship between "sentence 1" and "sentence 2"?',
    "paraphrase": 'Do the "first sentence" and the "second sentence" have the same meaning?',
    "boolean": "According to the passage, is the answer to the question true or false?",
    "candidate": "According to the paragraph and the question, is the candidate answer true or false?",
    "sense": "Is the word used in the same sense in both sentences?",
    "choice": "Which of the two alternatives is more plausible?",
    "other": "Which answer is right for this text?",
}
"""One question for each kind of task."""


def choice_prompt(kind: str, options: Sequence[str], text: str) -> str:
    """Word a classification example as a prompt.

    The form is that of the AIMMerging files: the instruction with the options on the first line, the text, the cue.
    """
    return f"{INSTRUCTIONS[kind]} Choose one of the options: {', '.join(options)}.\n{text}\nAnswer:"
