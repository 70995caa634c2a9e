//! Which samples are worth a look.

use crate::Answer;

/// Positions of the wrong answers that were given with the most confidence, at most `most`, the most confident first.
pub fn confident_mistakes(answers: &[Answer], most: usize) -> Vec<usize> {
    let mut wrong: Vec<usize> = (0..answers.len()).filter(|&at| answers[at].truth != answers[at].predicted).collect();
    wrong.sort_by(|&a, &b| answers[b].confidence.total_cmp(&answers[a].confidence).then(a.cmp(&b)));
    wrong.truncate(most);
    wrong
}

/// Positions of the answers whose first and second choice were nearest to each other, at most `most`, the least certain first.
pub fn least_certain(answers: &[Answer], most: usize) -> Vec<usize> {
    let margin = |at: usize| answers[at].confidence - answers[at].runner_up;
    let mut all: Vec<usize> = (0..answers.len()).collect();
    all.sort_by(|&a, &b| margin(a).total_cmp(&margin(b)).then(a.cmp(&b)));
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_wrong_and_doubts_are_near() {
        let answer =
            |truth, predicted, confidence, runner_up| Answer { truth, predicted, confidence, runner_up, second: 0 };
        let answers = [
            answer(0, 0, 0.9, 0.1),
            answer(0, 1, 0.6, 0.3),
            answer(1, 0, 0.8, 0.1),
            answer(1, 1, 0.51, 0.49),
            answer(2, 0, f64::NAN, 0.0),
        ];
        let mistakes = confident_mistakes(&answers, 10);
        assert_eq!(mistakes.len(), 3);
        assert!(mistakes.iter().position(|&at| at == 2) < mistakes.iter().position(|&at| at == 1));
        assert_eq!(least_certain(&answers, 2), [3, 1]);
        assert!(confident_mistakes(&[], 5).is_empty() && least_certain(&[], 5).is_empty());
    }
}
