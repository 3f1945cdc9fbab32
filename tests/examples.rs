//! Runs the examples, and compares what they print with the book. `cargo test` builds them.

use std::process::{Command, Output};

fn path(example: &str) -> std::path::PathBuf {
    // Tests are in target/PROFILE/deps; the folder of the examples is beside it.
    let here = std::env::current_exe().unwrap();
    here.ancestors().nth(2).unwrap().join("examples").join(example)
}

fn run(example: &str, arguments: &[&str]) -> Output {
    let path = path(example);
    let output = Command::new(&path).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}; build the examples first", path.display()))
}

/// The standard output of an example, which must succeed.
fn prints(example: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(example, arguments);
    assert!(status.success(), "{example}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn price_graphs() {
    let apple = prints("01_buy_apple", &[]);
    let lines: Vec<_> = apple.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(lines, ["220", "2.2", "110", "200"]);
    let folder = tempfile::tempdir().unwrap();
    let both = prints("02_buy_apple_orange", &[folder.path().to_str().unwrap()]);
    let lines: Vec<_> = both.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(lines[..6], ["715", "2.2", "110", "3.3", "165", "650"]);
    // Each edge has its value and its gradient: those of the chapter's figure.
    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (svg, dot) = (read("buy_apple_orange.svg"), read("buy_apple_orange.dot"));
    let edges = [
        ["100", "2.2"],
        ["2", "110"],
        ["200", "1.1"],
        ["150", "3.3"],
        ["3", "165"],
        ["450", "1.1"],
        ["650", "1.1"],
        ["1.1", "650"],
        ["715", "1"],
    ];
    let text = |number: &str| format!(">{number}</text>");
    let drawn = |[value, gradient]: &[&str; 2]| {
        let edge = format!("{}\n<text y=\"17\" fill=\"#b33\"{}", text(value), text(gradient));
        svg.contains(&edge) && dot.contains(&format!("label=\"{value}\\n{gradient}\""))
    };
    assert!(edges.iter().all(drawn), "{svg}{dot}");
    assert_eq!(dot.matches(" -> ").count(), edges.len());
}

#[test]
fn layers_and_nets() {
    assert!(prints("03_layers", &[]).contains("dW = dy·xᵀ, 2×3, shaped like W"));
    let folder = tempfile::tempdir().unwrap();
    let net = prints("04_two_layer_net", &[folder.path().to_str().unwrap()]);
    assert!(net.contains("  50 ×   784     39200  0.weight"));
    let svg = std::fs::read_to_string(folder.path().join("two_layer_net.svg")).unwrap();
    let loss = net.lines().find_map(|line| line.strip_prefix("loss ")?.split(',').next());
    assert!(svg.contains(&format!(">{}</text>", loss.unwrap())), "{svg}");
    // The size of each gradient is the one that the example prints.
    for (name, shape) in [("0.weight", "50 × 784"), ("2.bias", "10 × 1")] {
        let line = net.lines().find(|line| line.starts_with(&format!("d {name}"))).unwrap();
        let size = line.rsplit(' ').next().unwrap();
        assert!(svg.contains(&format!(">{shape}: {size}</text>")), "{line} {svg}");
    }
    let check = prints("05_gradient_check", &[]);
    assert!(["W1", "b1", "W2", "b2"].iter().all(|name| check.contains(name)));
}

#[test]
fn no_heap() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sine.rs");
    let said = prints("08_no_heap", &["--export", file.to_str().unwrap()]);
    assert!(said.contains("parameters       1284 bytes\ngradient            0\n"), "{said}");
    assert!(said.contains("allocations while it trained: 0\n"), "{said}");
    let source = std::fs::read_to_string(file).unwrap();
    assert!(source.contains("pub static SINE: ::chainrule::Network<f32, ::chainrule::D1<1>, ("));
    assert!(said.contains(&format!("as Rust source: {} bytes, 1284 in flash", source.len())));
}

#[test]
fn derivatives_and_second_order() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let picture = |name: &str| {
        let picture = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("</svg>"));
    };
    assert!(prints("17_derivatives", &["--out", out]).contains("Newton 5"));
    picture("derivatives.svg");
    assert!(prints("18_levenberg_marquardt", &["--out", out]).contains("mean squared error"));
    picture("levenberg_marquardt.svg");
    assert_eq!(prints("19_pinn", &["--out", out]).matches("relative error").count(), 4);
    picture("pinn.svg");
    for example in ["17_derivatives", "18_levenberg_marquardt", "19_pinn"] {
        assert!(prints(example, &["--help"]).contains("--out"));
    }
}

#[test]
fn optimizers() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let said = prints("09_optimizers", &["--out", out]);
    assert!(["Momentum", "AdaGrad", "RMSprop", "Adam"].iter().all(|name| said.contains(name)));
    for picture in ["optimizers_paths.svg", "optimizers_digits.svg"] {
        let picture = std::fs::read_to_string(folder.path().join(picture)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("Adam"));
    }
    let Output { status, stderr, stdout } = run("09_optimizers", &["--out", "Cargo.toml"]);
    assert!(!status.success() && stdout.is_empty());
    assert!(String::from_utf8(stderr).unwrap().contains("Cargo.toml: "));
    assert!(prints("09_optimizers", &["--help"]).contains("--iterations"));
}

#[test]
fn exchange() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let said = prints("15_pytorch", &["--out", out]);
    assert!(said.starts_with("360 of 360 predictions equal those of PyTorch\n"), "{said}");
    let said = prints("16_firmware", &["--out", out]);
    assert!(
        said.contains("compiled: the outputs differ by at most") || said.contains("not compiled")
    );
    assert!(folder.path().join("sine.h").exists());
    for example in ["15_pytorch", "16_firmware"] {
        assert!(prints(example, &["--help"]).contains("--out <DIR>"));
    }
}

#[test]
fn initialisation_and_regularisation() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let said = prints("10_initialisation", &["--out", out]);
    assert!(said.contains("sigmoid, Xavier") && said.contains("ReLU, He"), "{said}");
    let said = prints("11_regularisation", &["--out", out]);
    assert!(said.contains("dropout 0.2") && said.contains("the best five of 40 trials"), "{said}");
    for picture in ["initialisation.svg", "regularisation.svg", "random_search.svg"] {
        let picture = std::fs::read_to_string(folder.path().join(picture)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("seed 0"));
    }
    for example in ["10_initialisation", "11_regularisation"] {
        let Output { status, stderr, stdout } = run(example, &["--out", "Cargo.toml"]);
        assert!(!status.success() && stdout.is_empty());
        assert!(String::from_utf8(stderr).unwrap().contains("Cargo.toml: "));
        assert!(prints(example, &["--help"]).contains("--seed"));
    }
}

#[test]
fn training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let log = prints("06_train_neuralnet", &["--out", out]);
    // In a pipe the log contains only lines and no progress bar.
    assert!(!log.contains(['\r', '\x1b']));
    // 10,000 mini-batches of 100 are 35 epochs of 28,740 images; one more line is the final result.
    assert_eq!(log.matches("train acc, test acc | ").count(), 36);
    let last = log.lines().rfind(|line| line.starts_with("train acc")).unwrap();
    let accuracy: f64 = last.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(accuracy >= 0.95, "{last}");
    let picture = std::fs::read_to_string(folder.path().join("train_neuralnet.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("Accuracy: 64-100-10, seed 0"));
    let mistakes = std::fs::read_to_string(folder.path().join("mistakes.svg")).unwrap();
    assert!(mistakes.contains("taken for") && log.contains(" mistakes; the worst:\ntest image "));

    let quick = ["--scalar", "f64", "--hidden", "50", "--iterations", "3", "--out", out];
    assert!(prints("06_train_neuralnet", &quick).contains("64-50-10 on 28740 images"));
    // A training that continues from iteration 3 to 5 ends like an uninterrupted one.
    let resumed =
        ["--scalar", "f64", "--hidden", "50", "--iterations", "5", "--resume", "--out", out];
    let last =
        |said: String| said.lines().rfind(|line| line.starts_with("train acc")).map(str::to_owned);
    let said = prints("06_train_neuralnet", &resumed);
    assert!(said.contains("continued from iteration 3\n"), "{said}");
    let whole = ["--scalar", "f64", "--hidden", "50", "--iterations", "5", "--out", out];
    assert_eq!(last(said), last(prints("06_train_neuralnet", &whole)));
    let Output { status, stderr, .. } = run("06_train_neuralnet", &["--resume", "--out", out]);
    let said = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && said.contains("net.2.bias: expected F32, found F64"), "{said}");
}

#[test]
fn training_with_patience() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let train = |more: &[&str]| {
        let options = ["--optimizer", "adam", "--patience", "2", "--hidden", "50", "--out", out];
        prints("06_train_neuralnet", &[&options, more].concat())
    };
    let last =
        |log: &str| log.lines().rfind(|line| line.starts_with("train acc")).map(str::to_owned);
    let whole = train(&["--iterations", "800"]);
    assert!(whole.contains("epoch 1: loss ") && whole.contains("(lowest)"), "{whole}");
    // Continued after the second epoch, it ends as if it had not been interrupted.
    train(&["--iterations", "300"]);
    let resumed = train(&["--iterations", "800", "--resume"]);
    assert!(resumed.contains("continued from iteration 518\nepoch 3"), "{resumed}");
    assert_eq!(last(&resumed), last(&whole));
}

#[test]
fn tables() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    // Each example asserts its own results.
    let log = prints("12_tabular", &["--out", out]);
    assert!(log.contains("actual \\ predicted  benign  malignant\n"), "{log}");
    assert_eq!(log, prints("12_tabular", &["--out", out, "--threads", "3"]));
    prints("12_tabular", &["--out", out, "--table", "wine"]);
    let log = prints("13_regression", &["--out", out]);
    assert!(log.contains("\nf32  0.9"), "{log}");
    for (picture, axis) in [("tabular", "epoch"), ("regression", "prediction")] {
        let picture = std::fs::read_to_string(folder.path().join(picture).with_extension("svg"));
        assert!(picture.unwrap().contains(axis));
    }
    for example in ["06_train_neuralnet", "12_tabular", "13_regression"] {
        let Output { status, stdout, stderr } = run(example, &["--out", "Cargo.toml/x"]);
        let said = String::from_utf8(stderr).unwrap();
        // It fails before any training.
        assert!(
            !status.success() && stdout.is_empty() && said.contains("Cargo.toml/x: "),
            "{said}"
        );
    }
    let Output { status, stderr, .. } = run("12_tabular", &["--folds", "600", "--out", out]);
    let said = String::from_utf8(stderr).unwrap();
    assert!(
        !status.success() && said.contains("expected at least 600 samples of class 0, found 357")
    );
}

/// The reports of two trainings in headless Chromium, as wide as a phone and as a screen: nothing on the console, nothing
/// that is wider than the page, nothing from the network.
#[test]
fn reports() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let read = |example: &str, arguments: &[&str]| {
        let said = prints(example, &[arguments, &["--out", out]].concat());
        assert!(said.ends_with("report.html\n"), "{said}");
        std::fs::read_to_string(folder.path().join("report.html")).unwrap()
    };
    let digits = read("06_train_neuralnet", &["--iterations", "300"]);
    let table = read("12_tabular", &["--runs", "1"]);
    for (report, parts) in [
        (&digits, ["Loss", "Accuracy", "Worst mistakes", "learning rate", "data:image/bmp"]),
        (
            &table,
            ["Loss in the first fold", "malignant", "Worst mistakes", "patience", "radius error"],
        ),
    ] {
        let all = ["Confusion matrix", "Settings", "Gradient check", "Weights of the first layer"];
        assert!(parts.iter().chain(&all).all(|part| report.contains(part)), "{report}");
        assert!(!report.contains("http") && report.contains("prefers-color-scheme: dark"));
    }
    let mut browsers = ["chromium", "chromium-browser", "google-chrome"].into_iter();
    let Some(browser) = browsers.find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        println!("skipped: no Chromium");
        return;
    };
    for (report, width) in [(&digits, 360), (&digits, 1280), (&table, 360), (&table, 1280)] {
        // A window of Chromium is at least 500 pixels wide, a frame is not. The title becomes the width of the contents.
        let size = format!("border: 0; width: {width}px; height: 1000px");
        let title = "document.title = this.contentDocument.documentElement.scrollWidth";
        let report = report.replace('&', "&amp;").replace('"', "&quot;");
        let frame =
            format!(r#"<iframe style="{size}" onload="{title}" srcdoc="{report}"></iframe>"#);
        let page = folder.path().join("page.html");
        let icon = r#"<!doctype html><link rel="icon" href="data:,"><body style="margin: 0">"#;
        std::fs::write(&page, format!("{icon}{frame}")).unwrap();
        let picture = folder.path().join("page.png");
        let shows = |what: &str| {
            let mut command = Command::new(browser);
            command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
            command.args(["--enable-logging=stderr", what]);
            command.arg(format!("--window-size={width},1000"));
            command.arg(format!("--user-data-dir={out}/browser"));
            let Output { stdout, stderr, .. } = command.arg(&page).output().unwrap();
            let said = String::from_utf8_lossy(&stderr);
            assert!(!said.contains("CONSOLE"), "{said}");
            String::from_utf8(stdout).unwrap()
        };
        let shown = shows("--dump-dom");
        assert!(shown.contains(&format!("<title>{width}</title>")), "{width}: {shown}");
        shows(&format!("--screenshot={}", picture.display()));
        let size = std::fs::read(&picture).unwrap()[16..20].to_vec();
        assert_eq!(size, u32::to_be_bytes(width));
    }
}

/// `program | head -1`: the program succeeds, and writes nothing to its standard error.
#[test]
fn a_closed_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let (some, none) = (&["--out", out][..], &[][..]);
    let training = &["--iterations", "30", "--out", out][..];
    for (example, arguments) in [
        ("01_buy_apple", none),
        ("02_buy_apple_orange", none),
        ("03_layers", none),
        ("04_two_layer_net", none),
        ("05_gradient_check", none),
        ("06_train_neuralnet", training),
        ("07_gradcheck_your_own_layer", none),
        ("08_no_heap", none),
        ("12_tabular", some),
        ("13_regression", some),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(path(example));
        let ended = program.args(arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && said.is_empty(), "{example}: {said}");
    }
}

#[test]
fn training_refuses_what_cannot_be() {
    let refused = |arguments: &[&str], reason: &str| {
        let Output { status, stderr, .. } = run("06_train_neuralnet", arguments);
        let said = String::from_utf8(stderr).unwrap();
        assert!(!status.success() && said.contains(reason), "{arguments:?}: {said}");
    };
    refused(
        &["--mnist", "/no/such/folder"],
        "/no/such/folder/train-images-idx3-ubyte.gz, found neither",
    );
    refused(&["--mnist", "examples/data/digits"], "expected 784 features per sample, found 64");
    refused(&["--hidden", "60"], "the example is compiled for 50 and for 100");
    refused(&["--rate", "-1"], "a number above 0 is needed");
    refused(&["--batch", "0"], "batch");
    refused(&["--iterations", "1", "--out", "Cargo.toml"], "Cargo.toml: ");
    let help = prints("06_train_neuralnet", &["--help"]);
    assert!(["--mnist", "--scalar", "--seed", "--out"].iter().all(|option| help.contains(option)));
}

#[test]
fn convolution() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let log = prints("14_convnet", &["--out", out]);
    let accuracy: f64 =
        log.lines().find_map(|line| line.split("s, test acc ").nth(1)).unwrap().parse().unwrap();
    assert!(accuracy >= 0.97, "{log}");
    for (file, text) in [
        ("filters.svg", "First filters before training"),
        ("mistakes.svg", "The worst of "),
        ("confusion.svg", "predictions (columns)"),
    ] {
        let picture = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains(text), "{file}");
    }
    let lenet = prints("14_convnet", &["--net", "lenet", "--epochs", "0", "--out", out]);
    assert!(lenet.contains("0 iterations of 100"), "{lenet}");
    assert!(prints("14_convnet", &["--help"]).contains("--mnist"));
}
