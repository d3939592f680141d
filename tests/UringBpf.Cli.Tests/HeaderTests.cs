using System.Text.RegularExpressions;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Cli.Tests;

/// <summary>uring_bpf.h says what the library does, and uring_bpf.rs what the header says.</summary>
public sealed partial class HeaderTests
{
    private static readonly string s_header = Include("uring_bpf.h"), s_rust = Include("uring_bpf.rs");

    [GeneratedRegex(@"^extern [^;]*?\b(\w+)\(([^)]*)\) __ksym;", RegexOptions.Multiline)]
    private static partial Regex Kfunc { get; }

    [GeneratedRegex(@"^static [^;]*?\(\*const (\w+)\)\(([^;]*)\) = \(void \*\)(\d+);", RegexOptions.Multiline)]
    private static partial Regex Helper { get; }

    [Fact]
    public void Every_kfunc_is_declared_with_its_arguments() => Assert.Equal(
        KfuncPrototypes.All.Select(function => (function.Name, function.Arguments.Length)).Order(),
        Kfunc.Matches(s_header).Select(match => (match.Groups[1].Value, match.Groups[2].Value.Split(',').Length)).Order());

    [Fact]
    public void Helpers_have_the_numbers_of_the_table()
    {
        var helpers = Helper.Matches(s_header);
        Assert.True(helpers.Count > 30);
        foreach (Match match in helpers) Assert.Equal(match.Groups[1].Value, PrototypeTable.BuiltIn.Helper(int.Parse(match.Groups[3].Value))?.Name);
    }

    [GeneratedRegex(@"^    IORING_OP_(\w+) = (\d+),|^    URING_OP_(PROGRAM) = (\d+),", RegexOptions.Multiline)]
    private static partial Regex Opcode { get; }

    [GeneratedRegex(@"^    pub const (\w+): u8 = (\d+);", RegexOptions.Multiline)]
    private static partial Regex RustOpcode { get; }

    [GeneratedRegex(@"^    fn (uring_\w+|bpf_iter_\w+)\(([^)]*)\)", RegexOptions.Multiline)]
    private static partial Regex RustKfunc { get; }

    [GeneratedRegex(@"^static __always_inline void uring_prep_(\w+)\(", RegexOptions.Multiline)]
    private static partial Regex Preparation { get; }

    [Fact]
    public void Rust_has_the_numbers_of_C()
    {
        var opcodes = Opcode.Matches(s_header).Select(match => (match.Groups[1].Value + match.Groups[3].Value, match.Groups[2].Value + match.Groups[4].Value)).ToArray();
        Assert.True(opcodes.Length > 30);
        Assert.Equal(opcodes, RustOpcode.Matches(s_rust).Select(match => (match.Groups[1].Value, match.Groups[2].Value)));
        foreach (var flag in new[] { "PATH_IN_BUFFER", "LINK", "HARDLINK", "DRAIN", "NAMES_PROGRAM", "MULTISHOT", "PROVIDED_BUFFER" })
            Assert.Equal(Number(s_header, $@"#define URING_OP_{flag} (\d+)"), Number(s_rust, $@"pub const {flag}: u8 = (\d+);"));
        foreach (var flag in new[] { "BUFFER", "MORE", "SOCK_NONEMPTY", "NOTIF", "BUF_MORE" })
            Assert.Equal(Number(s_header, $@"IORING_CQE_F_{flag} = (\d+),"), Number(s_rust, $@"pub const {flag}: u32 = (\d+);"));
        foreach (var map in new[] { "HASH", "ARRAY", "PERCPU_HASH", "PERCPU_ARRAY", "LRU_HASH", "LRU_PERCPU_HASH" })
            Assert.Equal(Number(s_header, $@"BPF_MAP_TYPE_{map} = (\d+),"), Number(s_rust, $@"pub const {map}: usize = (\d+);"));
        foreach (var flag in new[] { "WRONLY", "RDWR", "CREAT", "EXCL", "TRUNC", "APPEND", "DIRECT", "DIRECTORY", "NOFOLLOW" })
            Assert.Equal(Number(s_header, $@"#define O_{flag} 0*(\d+)"), Number(s_rust, $@"pub const {flag}: u32 = (?:0o)?(\d+);"));
    }

    [Fact]
    public void Rust_has_the_kfuncs_of_C_with_as_many_arguments()
    {
        // uring_crc32c is uring_crc32c_update of 0.
        Assert.Equal(
            Kfunc.Matches(s_header).Select(match => (match.Groups[1].Value, match.Groups[2].Value.Split(',').Length)).Where(kfunc => kfunc.Value != "uring_crc32c").Order(),
            RustKfunc.Matches(s_rust).Select(match => (match.Groups[1].Value, match.Groups[2].Value.Split(',').Length)).Order());
    }

    [Fact]
    public void Rust_has_the_operations_of_C()
    {
        // Where C has several names for one operation, Rust has an argument or .with(flags).
        string[] otherwise = ["rw", "vec", "recv_multishot", "socket_type"];
        var operations = Preparation.Matches(s_header).Select(match => match.Groups[1].Value).Except(otherwise).ToArray();
        Assert.True(operations.Length > 35);
        foreach (var operation in operations) Assert.Contains($"pub const fn {operation}(", s_rust);
    }

    private static string Include(string name) => File.ReadAllText(Path.Combine(Tool.Root, "ring/UringBpf.Ring/include", name));

    private static string Number(string text, string pattern)
    {
        var match = Regex.Match(text, pattern);
        Assert.True(match.Success, pattern);
        return match.Groups[1].Value;
    }
}
