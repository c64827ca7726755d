//! The convolutional network against one written out in plain loops, and what its table may say.

use super::*;
use crate::flat;
use crate::layout::Layout;
use crate::seed::{self, Purpose};
use crate::task::{Task, TaskError};
use burn::tensor::{Device, TensorData};

fn device() -> Device {
    crate::Device::Cpu.open()
}

fn task(inputs: &str, model: &str) -> Result<Task, TaskError> {
    let text = format!(
        "kind = 'classify'\ninputs = {inputs}\nclasses = 3\nbatch = 2
         model = {{ kind = 'cnn', {model} }}\noptimizer = {{ kind = 'sgd', rate = 0.1 }}"
    );
    Task::parse(&text.parse().expect("a table"))
}

/// Weights of which none is zero.
fn weights(layout: &Layout) -> Vec<f32> {
    let mut rng = seed::stream(5, Purpose::Init, 0);
    (0..layout.param_count()).map(|_| seed::symmetric(&mut rng, 0.8)).collect()
}

/// An image, channel after channel and row after row.
struct Plain {
    numbers: Vec<f64>,
    sides: [usize; 3],
}

impl Plain {
    /// What lies at a place, zero beside the image.
    fn at(&self, channel: usize, [row, column]: [isize; 2]) -> f64 {
        let [_, height, width] = self.sides;
        match (usize::try_from(row), usize::try_from(column)) {
            (Ok(row), Ok(column)) if row < height && column < width => self.numbers[(channel * height + row) * width + column],
            _ => 0.0,
        }
    }

    /// Each place's sum over a kernel whose middle lies on every second row and column.
    fn convolved(&self, weight: &[f32], bias: &[f32], [high, wide]: [usize; 2]) -> Self {
        let [channels, height, width] = self.sides;
        let sides = [bias.len(), height.div_ceil(2), width.div_ceil(2)];
        let mut numbers = Vec::new();
        for (to, bias) in bias.iter().enumerate() {
            for (row, column) in (0..sides[1]).flat_map(|row| (0..sides[2]).map(move |column| (row, column))) {
                let mut sum = f64::from(*bias);
                for from in 0..channels {
                    for (i, j) in (0..high).flat_map(|i| (0..wide).map(move |j| (i, j))) {
                        let place = [2 * row + i, 2 * column + j].map(|place| place as isize);
                        let place = [place[0] - (high / 2) as isize, place[1] - (wide / 2) as isize];
                        sum += f64::from(weight[((to * channels + from) * high + i) * wide + j]) * self.at(from, place);
                    }
                }
                numbers.push(sum.max(0.0));
            }
        }
        Self { numbers, sides }
    }
}

/// Logits by plain loops: stages, then layers.
fn by_hand(task: &Task, weights: &[f32], example: &[f32], sides: [usize; 3], kernel: [usize; 2]) -> Vec<f64> {
    let parts: Vec<&[f32]> = task.layout().ranges().map(|(_, range)| &weights[range]).collect();
    let stages = task.layout().tensors().iter().filter(|tensor| tensor.name().starts_with("stages")).count();
    let mut image = Plain { numbers: example.iter().copied().map(f64::from).collect(), sides };
    for stage in parts[..stages].chunks_exact(2) {
        image = image.convolved(stage[0], stage[1], kernel);
    }
    let mut x = image.numbers;
    let layers: Vec<&[&[f32]]> = parts[stages..].chunks_exact(2).collect();
    for (i, layer) in layers.iter().enumerate() {
        let to = layer[1].len();
        let sum = |j: usize| {
            f64::from(layer[1][j]) + x.iter().enumerate().map(|(i, x)| x * f64::from(layer[0][i * to + j])).sum::<f64>()
        };
        let next: Vec<f64> = (0..to).map(sum).collect();
        x = if i + 1 < layers.len() { next.into_iter().map(|x| x.max(0.0)).collect() } else { next };
    }
    x
}

#[test]
fn logits_are_what_plain_loops_find() {
    let cases = [
        ("[2, 5, 7]", "channels = [3, 4], kernel = 3, hidden = [5]", [2, 5, 7], [3, 3]),
        ("[6, 4]", "channels = [2], kernel = 5, hidden = []", [1, 6, 4], [5, 5]),
        ("[1, 1]", "channels = [2, 2], kernel = 3, hidden = []", [1, 1, 1], [3, 3]),
        ("[3, 9]", "channels = [4, 2], kernel = 3, hidden = [4], series = true", [3, 1, 9], [1, 3]),
        ("[8]", "channels = [4], kernel = 1, hidden = [], series = true", [1, 1, 8], [1, 1]),
    ];
    for (inputs, model, sides, kernel) in cases {
        let task = task(inputs, model).expect(model);
        let (weights, count) = (weights(task.layout()), sides.iter().product());
        let parameters = flat::to_tensors(task.layout(), &weights, &device());
        let examples: Vec<f32> = (0..2 * count).map(|i| (i as f32 * 1.7).sin()).collect();
        let batch = Tensor::from_data(TensorData::new(examples.clone(), [2, count]), &device());
        let logits = task.model().forward(&parameters, batch).try_to_vec_as::<f32>().expect("numbers");
        let expected = examples.chunks_exact(count).flat_map(|example| by_hand(&task, &weights, example, sides, kernel));
        for (logit, expected) in logits.into_iter().zip(expected) {
            assert!((f64::from(logit) - expected).abs() < 1e-4, "{model}: {logit} {expected}");
        }
    }
}

#[test]
fn tensors_are_those_that_the_documentation_names() {
    let task = task("[3, 28, 28]", "channels = [8, 16], hidden = [64]").expect("a task");
    let names: Vec<_> = task.layout().tensors().iter().map(|tensor| (tensor.name(), tensor.shape())).collect();
    let expected: [(&str, &[usize]); 8] = [
        ("stages.0.weight", &[8, 3, 3, 3]),
        ("stages.0.bias", &[8]),
        ("stages.1.weight", &[16, 8, 3, 3]),
        ("stages.1.bias", &[16]),
        ("layers.0.weight", &[784, 64]),
        ("layers.0.bias", &[64]),
        ("layers.1.weight", &[64, 3]),
        ("layers.1.bias", &[3]),
    ];
    assert_eq!(names, expected);
    let cnn = task.model().downcast::<Cnn>().expect("a cnn");
    assert_eq!((cnn.channels(), cnn.kernel(), cnn.series()), (&[8, 16][..], 3, false));
    // The patches of the first stage: 3 channels, 9 places, 14 x 14 times.
    assert_eq!(task.model().widest(), 3 * 9 * 14 * 14);
}

#[test]
fn a_wrong_table_is_told_what_would_be_right() {
    let cases = [
        (
            "[8, 8]",
            "channels = [8], kernel = 4, hidden = []",
            "`task.model.kernel` is 4, but must be an odd number: a kernel has a middle",
        ),
        (
            "[8, 8]",
            "channels = [], hidden = []",
            "`task.model.channels` is [], but must be 1 to 8 whole numbers, each between 1 and 4096",
        ),
        ("[8, 8]", "channels = [8], hidden = [], series = 1", "`task.model.series` is 1, but must be true or false"),
        (
            "[64]",
            "channels = [8], hidden = []",
            "`task.inputs` is [64], but must be [height, width] or [channels, height, width] for a model of kind \"cnn\"",
        ),
        (
            "[2, 8, 8]",
            "channels = [8], hidden = [], series = true",
            "`task.inputs` is [2, 8, 8], but must be [length] or [channels, length] for a model of kind \"cnn\"",
        ),
    ];
    for (inputs, model, expected) in cases {
        assert_eq!(task(inputs, model).expect_err(model).to_string(), expected);
    }
    let large = task("[4096, 4096]", "channels = [4096], hidden = []").expect_err("refused").to_string();
    assert!(large.contains("2147483648 parameters") || large.contains("batch times the widest"), "{large}");
}

/// Two nodes of different builds must start from the same weights.
#[test]
fn initial_weights_are_the_same_for_ever() {
    let weights = task("[3, 8, 8]", "channels = [4, 8], hidden = [16]").expect("a task").init(42);
    let digest = weights.iter().fold(0_u64, |digest, weight| digest.wrapping_mul(0x0100_0000_01b3) ^ u64::from(weight.to_bits()));
    assert_eq!((weights.len(), digest), (987, 5_153_112_555_136_846_067));
}
