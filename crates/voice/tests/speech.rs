//! Programs and services that speak, and all the ways in which they do not.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voice::audio::Pcm;
use voice::media::Tones;
use voice::speech::{Cache, Command, Engine, Found, Http, Speech, find};

/// A folder with a program of this shell script in it, which finds `sound.wav` beside itself.
fn script(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sound.wav"), Pcm::new(8_000, vec![1_000; 4_000]).to_wav()).unwrap();
    let path = folder.path().join("speak");
    std::fs::write(&path, format!("#!/bin/sh\nhere=$(dirname \"$0\")\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    (folder, path)
}

fn speech(folder: &TempDir, program: &Path, arguments: &[&str]) -> Speech {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let engine = Engine::Command(Command::new(program.to_str().unwrap(), arguments, "own"));
    Speech::new(engine, Cache::new(folder.path().join("cache"), None)).limit(Duration::from_secs(5))
}

fn lines(folder: &TempDir, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_text_goes_to_standard_input_and_the_sound_comes_by_file_or_standard_output() {
    for (text, arguments) in [
        (
            "cat > \"$here/text\"; echo \"$2\" > \"$here/voice\"; cp \"$here/sound.wav\" \"$4\"",
            ["-v", "{voice}", "-w", "{out}"],
        ),
        (
            "cat > \"$here/text\"; echo \"$2\" > \"$here/voice\"; cat \"$here/sound.wav\"",
            ["-v", "{voice}", "-w", "-"],
        ),
    ] {
        let (folder, program) = script(text);
        let speech = speech(&folder, &program, &arguments);
        let said = "It's \"quoted\"; $(rm -rf /) – ça va?";
        assert_eq!(speech.speak("de", said, 8_000).await.unwrap().samples().len(), 4_000);
        assert_eq!(std::fs::read_to_string(folder.path().join("text")).unwrap(), said);
        assert_eq!(lines(&folder, "voice"), ["de"]);
        speech.speak("", "Hello.", 8_000).await.unwrap();
        assert_eq!(lines(&folder, "voice"), ["own"]);
    }
}

#[tokio::test]
async fn a_command_that_fails_says_why_and_is_tried_once_more() {
    let table = [
        ("echo one >&2; echo 'no such voice' >&2; exit 3", "failed (exit status: 3): no such voice"),
        ("exit 1", "failed (exit status: 1)"),
        ("kill -9 $$", "failed (signal: 9 (SIGKILL))"),
        ("cat > /dev/null", "gave no sound"),
        ("echo this is no sound", "gave no usable WAV: this is no WAV or MP3 file"),
        ("head -c 3000 \"$here/sound.wav\"", "gave no usable WAV: the file ends early"),
        ("yes", "gave no usable WAV: larger than 25 MB"),
    ];
    for (text, words) in table {
        let (folder, program) = script(&format!("echo x >> \"$here/runs\"\n{text}"));
        let limit = if text == "yes" { 1 } else { 5 };
        let error = speech(&folder, &program, &[])
            .limit(Duration::from_secs(limit))
            .speak("", "Hello.", 8_000)
            .await
            .unwrap_err()
            .to_string();
        let expected = if text == "yes" { "did not finish within 1 s" } else { words };
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(lines(&folder, "runs").len(), 2, "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = speech(&folder, Path::new("/nowhere/speak"), &[])
        .speak("", "Hello.", 8_000)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the speech command \"/nowhere/speak\" cannot be started: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let (folder, program) = script("echo $$ >> \"$here/pids\"\nsleep 600 &\necho $! >> \"$here/pids\"\nwait");
    let began = Instant::now();
    let error = speech(&folder, &program, &[])
        .limit(Duration::from_millis(300))
        .speak("", "Hello.", 8_000)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("did not finish within 0.3 s and was ended"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    let pids = lines(&folder, "pids");
    assert_eq!(pids.len(), 4);
    for pid in pids {
        // What is killed may stay listed as a zombie until its parent has seen it.
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        };
        for _ in 0..200 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone(), "{pid}");
    }
}

#[tokio::test]
async fn what_was_rendered_is_rendered_once_for_its_engine_voice_text_and_rate() {
    let (folder, program) = script("echo x >> \"$here/runs\"; cat \"$here/sound.wav\"");
    let speech = speech(&folder, &program, &[]);
    for _ in 0..2 {
        for (voice, text, rate) in
            [("a", "Hello.", 8_000), ("b", "Hello.", 8_000), ("a", "Hello!", 8_000), ("a", "Hello.", 16_000)]
        {
            assert_eq!(speech.speak(voice, text, rate).await.unwrap().rate(), rate);
        }
    }
    assert_eq!(lines(&folder, "runs").len(), 4);
    for text in ["", " \n", &"x".repeat(40_000)] {
        speech.speak("a", text, 8_000).await.unwrap_err();
    }
    assert_eq!(lines(&folder, "runs").len(), 4);
}

#[tokio::test]
async fn two_texts_are_rendered_at_once_and_no_more() {
    let (folder, program) = script(
        "mkdir \"$here/run-$$\"; ls -d \"$here\"/run-* | wc -l >> \"$here/counts\"; sleep 0.1; cat \"$here/sound.wav\"; rmdir \"$here/run-$$\"",
    );
    let speech = std::sync::Arc::new(speech(&folder, &program, &[]));
    let mut all = tokio::task::JoinSet::new();
    for i in 0..8 {
        let speech = speech.clone();
        all.spawn(async move { speech.speak("", &format!("Text {i}."), 8_000).await.map(|_| ()) });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap().unwrap();
    }
    let counts: Vec<u32> = lines(&folder, "counts").iter().map(|line| line.trim().parse().unwrap()).collect();
    assert!(counts.len() == 8 && counts.iter().all(|count| *count <= 2), "{counts:?}");
}

#[tokio::test]
async fn the_cache_keeps_within_its_bound_and_the_longest_unused_go_first() {
    let (folder, program) = script("echo x >> \"$here/runs\"; cat \"$here/sound.wav\"");
    let cache = folder.path().join("cache");
    // Room for two renderings of 8,044 bytes.
    let engine = Engine::Command(Command::new(program.to_str().unwrap(), Vec::new(), ""));
    let speech = Speech::new(engine, Cache::new(&cache, Some(17_000)));
    std::fs::create_dir(&cache).unwrap();
    for (name, age) in [("notes.txt", 9_000), (".speech-left", 9_000), (".speech-young", 0)] {
        let file = std::fs::File::create(cache.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    speech.speak("", "one", 8_000).await.unwrap();
    for entry in std::fs::read_dir(&cache).unwrap().flatten() {
        if entry.metadata().unwrap().len() > 0 {
            let file = std::fs::File::options().append(true).open(entry.path()).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(100)).unwrap();
        }
    }
    speech.speak("", "two", 8_000).await.unwrap();
    speech.speak("", "one", 8_000).await.unwrap();
    speech.speak("", "three", 8_000).await.unwrap();
    assert_eq!(lines(&folder, "runs").len(), 3);
    speech.speak("", "one", 8_000).await.unwrap();
    assert_eq!(lines(&folder, "runs").len(), 3, "one was used last and is there");
    speech.speak("", "two", 8_000).await.unwrap();
    assert_eq!(lines(&folder, "runs").len(), 4, "two went");
    let mut names: Vec<_> =
        std::fs::read_dir(&cache).unwrap().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names.iter().filter(|name| name.to_string_lossy().ends_with(".wav")).count(), 2);
    assert!(names.iter().any(|name| name == "notes.txt") && names.iter().any(|name| name == ".speech-young"));
    assert!(!names.iter().any(|name| name == ".speech-left"));
}

#[tokio::test]
async fn half_a_file_in_the_cache_is_rendered_again() {
    let (folder, program) = script("echo x >> \"$here/runs\"; cat \"$here/sound.wav\"");
    let speech = speech(&folder, &program, &[]);
    speech.speak("", "one", 8_000).await.unwrap();
    let kept = std::fs::read_dir(folder.path().join("cache")).unwrap().flatten().next().unwrap().path();
    std::fs::write(&kept, &std::fs::read(&kept).unwrap()[..1_000]).unwrap();
    assert_eq!(speech.speak("", "one", 8_000).await.unwrap().samples().len(), 4_000);
    assert_eq!(lines(&folder, "runs").len(), 2);
}

/// Answers one request after the other with this, and gives what was asked.
async fn service(answers: Vec<Vec<u8>>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut part = [0; 4_096];
                let size = socket.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..size]);
            }
            asked.push(String::from_utf8(request).unwrap());
            socket.write_all(&answer).await.unwrap();
        }
        asked
    });
    (base, asked)
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_service_is_asked_in_the_openai_shape_and_its_refusal_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wav = Pcm::new(24_000, vec![500; 12_000]).to_wav();
    let (base, asked) = service(vec![
        answer("200 OK", &wav),
        answer("401 Unauthorized", b"{\"error\":\"wrong key\"}"),
        answer("401 Unauthorized", b"{\"error\":\"wrong key\"}"),
    ])
    .await;
    let http = Http::new(&base, Some("hush".to_owned()), "tts-1", "alloy");
    assert!(!format!("{http:?}").contains("hush"));
    let speech = Speech::new(Engine::Http(http), Cache::new(folder.path(), None));
    assert_eq!(speech.speak("nova", "Hello.", 8_000).await.unwrap().length().as_millis(), 500);
    let error = speech.speak("", "Good bye.", 8_000).await.unwrap_err().to_string();
    assert!(
        error.ends_with("v1/audio/speech failed: it answered 401 Unauthorized {\"error\":\"wrong key\"}"),
        "{error}"
    );
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("POST /v1/audio/speech HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].to_lowercase().contains("\r\nauthorization: bearer hush\r\n"), "{}", asked[0]);
    for part in
        ["\"model\":\"tts-1\"", "\"voice\":\"nova\"", "\"input\":\"Hello.\"", "\"response_format\":\"wav\""]
    {
        assert!(asked[0].contains(part), "{}", asked[0]);
    }
    assert!(asked[1].contains("\"voice\":\"alloy\""), "{}", asked[1]);
}

#[tokio::test]
async fn piper_is_known_by_its_help_and_espeak_is_next() {
    let (_one, mouse) = script("echo 'piper: configure gaming mice'");
    let (_two, piper) = script("echo 'usage: piper [-h] -m MODEL --model MODEL [--output_file FILE]' >&2");
    let (_three, espeak) = script("echo 'eSpeak NG text-to-speech: 1.51'");
    let nowhere = "/nowhere/espeak-ng";
    let name = |found: Found| match found {
        Found::Engine { name, .. } => name.to_owned(),
        Found::Nothing(words) => words,
    };
    let (mouse, piper, espeak) = (mouse.to_str().unwrap(), piper.to_str().unwrap(), espeak.to_str().unwrap());
    assert_eq!(name(find(piper, Some("joe.onnx"), espeak).await), "piper");
    assert_eq!(name(find(mouse, Some("joe.onnx"), espeak).await), "espeak-ng");
    assert_eq!(name(find(piper, None, espeak).await), "espeak-ng");
    let words = name(find(mouse, Some("joe.onnx"), nowhere).await);
    assert!(words.contains("apt install espeak-ng") && words.contains("pip install piper-tts"), "{words}");
}

#[tokio::test]
async fn espeak_speaks() {
    let Found::Engine { command, name: "espeak-ng" } = find("piper", None, "espeak-ng").await else {
        return fixture::missing("espeak-ng is not installed (Debian: espeak-ng)");
    };
    let folder = tempfile::tempdir().unwrap();
    let speech = Speech::new(Engine::Command(command), Cache::new(folder.path(), None));
    let sound = speech.speak("", "Hello Anna, this is the city library.", 8_000).await.unwrap();
    assert!((1.0..6.0).contains(&sound.length().as_secs_f64()), "{:?}", sound.length());
    assert!(sound.samples().iter().any(|sample| sample.unsigned_abs() > 3_000));
    speech.speak("de", "Guten Tag.", 8_000).await.unwrap();
}

#[tokio::test]
async fn speech_holds_no_keys() {
    let Found::Engine { command, name: "espeak-ng" } = find("piper", None, "espeak-ng").await else {
        return fixture::missing("espeak-ng is not installed (Debian: espeak-ng)");
    };
    let folder = tempfile::tempdir().unwrap();
    let speech = Speech::new(Engine::Command(command), Cache::new(folder.path(), None));
    let text = "Hello, this is the city library. Your reservation is ready, and we keep it for you until Friday evening. \
        Please bring your card. If you want us to keep it longer, press one; to hear this again, press two; to speak to us, stay on the line. \
        We owe you a new beginning: you may do as you please, moving slowly through rooms full of old maps, movies and music. "
        .repeat(6);
    let (mut keys, mut seconds) = (String::new(), 0.0);
    for voice in ["en-us+m7", "de+f2", "ru", "en-us+whisper", "it+f4"] {
        let sound = speech.speak(voice, &text, 8_000).await.unwrap();
        seconds += sound.length().as_secs_f64();
        Tones::default().hear(sound.samples(), |key| keys.push(key));
    }
    assert!(seconds > 300.0, "{seconds}");
    assert_eq!(keys, "", "in {seconds} s");
}
